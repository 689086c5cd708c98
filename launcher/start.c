/*
 * The parts of a libc: the entry point, the system call instruction, and the four memory functions that the compiler
 * may call on its own. With -DHOSTED, libc provides all but the system calls.
 */
#include "base.h"

#ifdef HOSTED

#include <unistd.h>

long sys_call(long number, long a, long b, long c, long d, long e, long f) {
  long result = syscall(number, a, b, c, d, e, f);
  return result == -1 ? -errno : result;
}

#ifndef FUZZING
int main(int argc, char **argv, char **envp) { return program_main(argc, argv, envp); }
#endif

#else

#if defined(__x86_64__)
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  xor %ebp, %ebp\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call start_on_stack\n");

long sys_call(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#else
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  mov x29, #0\n"
    "  mov x30, #0\n"
    "  mov x0, sp\n"
    "  and sp, x0, #-16\n"
    "  b start_on_stack\n");

long sys_call(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#endif

/* The kernel passes a program its stack: argc, then argv and envp, each ended by a null pointer. */
_Noreturn void start_on_stack(long *stack);
_Noreturn void start_on_stack(long *stack) {
  int argc = (int)stack[0];
  char **argv = (char **)(stack + 1);
  sys_exit(program_main(argc, argv, argv + argc + 1));
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  char *out = to;
  const char *in = from;
  while (size--) *out++ = *in++;
  return to;
}

void *memmove(void *to, const void *from, size_t size) {
  char *out = to;
  const char *in = from;
  if (out < in) return memcpy(to, from, size);
  while (size--) out[size] = in[size];
  return to;
}

void *memset(void *to, int byte, size_t size) {
  char *out = to;
  while (size--) *out++ = (char)byte;
  return to;
}

int memcmp(const void *a, const void *b, size_t size) {
  const unsigned char *x = a, *y = b;
  for (; size; size--, x++, y++)
    if (*x != *y) return *x - *y;
  return 0;
}

#endif

/* amd64 requires the code by which a handler returns; arm64 finds it in the vDSO. */
#if defined(__x86_64__)
__asm__(
    ".text\n"
    "return_from_signal:\n"
    "  mov $15, %eax\n" /* rt_sigreturn */
    "  syscall\n");
extern void return_from_signal(void);
#endif

int sys_sigaction(int signal, const SignalAction *action, SignalAction *old) {
#if defined(__x86_64__)
  SignalAction with_return;
  if (action) {
    with_return = *action;
    with_return.flags |= 0x04000000; /* SA_RESTORER */
    with_return.restorer = return_from_signal;
    action = &with_return;
  }
#endif
  return (int)SYS(rt_sigaction, signal, action, old, sizeof(SignalSet));
}
