/*
 * What a hostile build would try. `probe attempts` tries everything that leaves no damage if it works and prints a line
 * for each: its name, then `worked` or the error. The other commands do one thing; see main.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* The same on every machine, and newer than some C libraries. */
enum { nr_open_tree = 428, nr_fsopen = 430, nr_pidfd_getfd = 438, nr_clone3 = 435, nr_io_uring_setup = 425 };

static void tell(const char *name, long result) {
  printf("%s %s\n", name, result >= 0 ? "worked" : strerrorname_np(errno));
  fflush(stdout);
}

/* Opening is enough of an attempt: nothing is written to what does open. */
static void try_open(const char *path, int flags) {
  char name[256];
  int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
  snprintf(name, sizeof name, "%s:%s", flags == O_RDONLY ? "read" : "write", path);
  tell(name, fd);
  if (fd >= 0) close(fd);
}

static void try_clone(const char *name, unsigned long flags) {
  long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) _exit(0);
  tell(name, pid);
  if (pid > 0) waitpid((pid_t)pid, NULL, 0);
}

/* In a child: what does work must not change what is tried next. */
#define IN_CHILD(name, call)             \
  do {                                   \
    fflush(stdout);                      \
    pid_t child_ = fork();               \
    if (child_ == 0) {                   \
      tell(name, (long)(call));          \
      _exit(0);                          \
    }                                    \
    waitpid(child_, NULL, 0);            \
  } while (0)

static long join_namespace(const char *path) {
  int fd = open(path, O_RDONLY);
  return fd < 0 ? -1 : syscall(SYS_setns, fd, 0);
}

static void try_namespaces(void) {
  IN_CHILD("unshare:user", unshare(CLONE_NEWUSER));
  IN_CHILD("unshare:mount", unshare(CLONE_NEWNS));
  IN_CHILD("unshare:time", unshare(0x80));
  IN_CHILD("unshare:files", unshare(CLONE_FILES));
  try_clone("clone:user", CLONE_NEWUSER);
  try_clone("clone:none", 0);
  tell("clone3", syscall(nr_clone3, NULL, 0));
  IN_CHILD("setns", join_namespace("/proc/self/ns/user"));
  IN_CHILD("mount", mount("none", "/tmp", "tmpfs", 0, ""));
  IN_CHILD("remount", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
  IN_CHILD("umount", umount2("/proc/1", MNT_DETACH));
  IN_CHILD("pivot_root", syscall(SYS_pivot_root, ".", "."));
  IN_CHILD("chroot", chroot("/tmp"));
  IN_CHILD("open_tree", syscall(nr_open_tree, AT_FDCWD, "/", 1));
  IN_CHILD("fsopen", syscall(nr_fsopen, "tmpfs", 0));
  IN_CHILD("sethostname", sethostname("evil", 4));
}

static void try_kernel(void) {
  struct perf_event_attr perf = {.type = PERF_TYPE_SOFTWARE, .size = sizeof perf, .exclude_kernel = 1};
  char parameters[256] = {0};
  tell("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
  tell("add_key", syscall(SYS_add_key, "user", "probe", "x", 1, KEY_SPEC_PROCESS_KEYRING));
  tell("request_key", syscall(SYS_request_key, "user", "probe", NULL, 0));
  tell("bpf", syscall(SYS_bpf, 0, parameters, sizeof parameters));
  tell("io_uring", syscall(nr_io_uring_setup, 1, parameters));
  tell("userfaultfd", syscall(SYS_userfaultfd, 1));
  tell("perf", syscall(SYS_perf_event_open, &perf, 0, -1, -1, 0));
  tell("syslog", syscall(SYS_syslog, 10, NULL, 0));
  IN_CHILD("open_by_handle", syscall(SYS_open_by_handle_at, AT_FDCWD, parameters, 0));
}

static long attach_to_other(void) {
  pid_t other = fork();
  if (other == 0) {
    pause();
    _exit(0);
  }
  long result = ptrace(PTRACE_SEIZE, other, 0, 0); /* does not stop it, as PTRACE_ATTACH would */
  int error = errno;
  kill(other, SIGKILL);
  errno = error;
  return result;
}

static void try_processes(void) {
  char byte;
  struct iovec here = {&byte, 1}, there = {&byte, 1};
  IN_CHILD("ptrace:me", ptrace(PTRACE_TRACEME, 0, 0, 0));
  IN_CHILD("ptrace:other", attach_to_other());
  IN_CHILD("ptrace:init", ptrace(PTRACE_SEIZE, 1, 0, 0));
  tell("vm_readv", process_vm_readv(getpid(), &here, 1, &there, 1, 0));
  tell("pidfd_getfd", syscall(nr_pidfd_getfd, 0, 0, 0));
  try_open("/proc/1/mem", O_RDONLY);
  try_open("/proc/1/environ", O_RDONLY);
  try_open("/proc/1/root", O_RDONLY);
  try_open("/proc/1/exe", O_RDONLY);
  try_open("/proc/1/exe", O_WRONLY);
  try_open("/proc/self/exe", O_WRONLY);
}

static void try_files(void) {
  const char *written[] = {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/swappiness",
                           "/proc/sysrq-trigger",          "/proc/self/uid_map",        "/proc/mtrr",
                           "/etc/passwd",                   "/usr/probe",                "/sys/kernel/uevent_helper",
                           "/dev/full"};
  const char *devices[] = {"/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/sda", "/dev/vda", "/dev/loop0",
                           "/dev/tty", "/proc/kcore", "/proc/kmsg"};
  for (size_t n = 0; n < sizeof written / sizeof *written; n++) try_open(written[n], O_WRONLY);
  for (size_t n = 0; n < sizeof devices / sizeof *devices; n++) try_open(devices[n], O_RDONLY);
  tell("mkdir:/", mkdir("/probe-made", 0755));
  tell("mkdir:/dev/probe", mkdir("/dev/probe", 0755));
  tell("mkdir:/proc/1/probe", mkdir("/proc/1/probe", 0755));
  tell("mknod:char", mknod("/tmp/probe-null", S_IFCHR | 0666, makedev(1, 3)));
  tell("mknod:block", mknod("/tmp/probe-disk", S_IFBLK | 0666, makedev(8, 0)));
  tell("chmod:/dev/null", chmod("/dev/null", 0666)); /* the mode that it has */
}

/* Every name in a directory of devices, so that the test also finds unexpected devices. */
static void list_devices(const char *path) {
  DIR *dir = opendir(path);
  struct dirent *entry;
  struct stat found;
  while (dir && (entry = readdir(dir)))
    if (fstatat(dirfd(dir), entry->d_name, &found, 0) == 0 && (S_ISCHR(found.st_mode) || S_ISBLK(found.st_mode)))
      printf("device:%s/%s %s\n", path, entry->d_name, S_ISBLK(found.st_mode) ? "block" : "character");
  if (dir) closedir(dir);
}

/* What a descriptor of a device permits, however it was opened. Each call asks for what is there already. */
static void try_device(const char *path) {
  char name[64], link[64];
  struct stat found;
  int fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), handle = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0 || handle < 0 || fstat(fd, &found) < 0) return tell("open-device", -1);
  snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
#define ON_DEVICE(what, call) snprintf(name, sizeof name, what ":%s", path), tell(name, call)
  ON_DEVICE("fchmod", fchmod(fd, found.st_mode & 07777));
  ON_DEVICE("fchmod-by-link", chmod(link, found.st_mode & 07777));
  ON_DEVICE("fchown", fchown(fd, found.st_uid, found.st_gid));
  ON_DEVICE("fchown-by-handle", fchownat(handle, "", getuid(), getgid(), AT_EMPTY_PATH));
  ON_DEVICE("setxattr", fsetxattr(fd, "security.probe", "x", 1, 0));
  ON_DEVICE("unlink", unlink(path));
  ON_DEVICE("rename", rename(path, "/dev/probe-moved"));
  close(fd);
  close(handle);
}

static void try_socket(const char *name, int family) {
  int fd = socket(family, SOCK_DGRAM, 0);
  tell(name, fd);
  if (fd >= 0) close(fd);
}

static void try_attempts(void) {
  char x = 'x';
  struct rlimit processes, core;
  try_namespaces();
  try_kernel();
  try_processes();
  try_files();
  list_devices("/dev");
  list_devices("/dev/pts");
  list_devices("/dev/shm");
  try_device("/dev/null");
  try_device("/dev/zero");
  try_socket("socket:unix", AF_UNIX);
  try_socket("socket:inet", AF_INET);
  try_socket("socket:inet6", AF_INET6);
  try_socket("socket:vsock", 40);
  try_socket("socket:alg", 38);
  try_socket("socket:packet", 17);
  tell("tiocsti", ioctl(0, 0x5412, &x));
  tell("tiocsti:high", syscall(SYS_ioctl, 0, 0xdeadbeef00005412UL, &x));
  tell("setuid:0", setresuid(0, 0, 0));
  printf("no_new_privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  getrlimit(RLIMIT_NPROC, &processes);
  getrlimit(RLIMIT_CORE, &core);
  printf("processes %lld\ncore %lld\n", (long long)processes.rlim_max, (long long)core.rlim_max);
}

/* Everything that is open, and where it leads. */
static void list_descriptors(void) {
  char path[64], target[4096];
  for (int fd = 0; fd < 4096; fd++) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length >= 0) printf("%d %.*s\n", fd, (int)length, target);
  }
}

/* Descriptors of devices, and what is done to the device through each: the mode that /dev/null has, and a sticky bit. */
static void change_devices(void) {
  for (int fd = 0; fd < 4096; fd++) {
    struct stat found;
    if (fstat(fd, &found) < 0 || !S_ISCHR(found.st_mode)) continue;
    printf("device %d\n", fd);
    if (fchmod(fd, 01666) == 0) printf("fchmod %d worked\n", fd);
  }
}

static int connect_to(int fd, void *address, size_t length) {
  int result = fd < 0 ? -1 : connect(fd, address, (socklen_t)length);
  tell("connect", result);
  return result < 0;
}

static int connect_unix(const char *name, int is_abstract) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(name);
  memcpy(address.sun_path + is_abstract, name, length);
  return connect_to(socket(AF_UNIX, SOCK_STREAM, 0), &address, offsetof(struct sockaddr_un, sun_path) + is_abstract + length);
}

static struct sockaddr_un path_address(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  return address;
}

/* A process outside that hands out a descriptor of the host's root (X51). */
static int give_root(const char *path) {
  struct sockaddr_un address = path_address(path);
  int listening = socket(AF_UNIX, SOCK_STREAM, 0), root = open("/", O_RDONLY | O_DIRECTORY);
  if (bind(listening, (void *)&address, sizeof address) == 0) chmod(path, 0777);
  tell("listen", listen(listening, 8));
  for (;;) {
    char space[CMSG_SPACE(sizeof root)] = {0}, byte = 'x';
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof root), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &root, sizeof root);
    int connection = accept(listening, NULL, NULL);
    if (connection < 0) return 1;
    sendmsg(connection, &message, 0);
    close(connection);
  }
}

/* Opens a path below what it is given there. */
static int take_root(const char *path, const char *below) {
  struct sockaddr_un address = path_address(path);
  int connection = socket(AF_UNIX, SOCK_STREAM, 0), root = -1;
  if (connect(connection, (void *)&address, sizeof address) != 0) return tell("connect", -1), 1;
  char space[CMSG_SPACE(sizeof root)] = {0}, byte;
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  if (recvmsg(connection, &message, 0) != 1 || CMSG_FIRSTHDR(&message) == NULL) return tell("receive", -1), 1;
  memcpy(&root, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof root);
  return tell("open", openat(root, below, O_RDONLY)), 0;
}

static socklen_t abstract_address(const char *name, struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(address->sun_path + 1, name, strlen(name));
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

/* A datagram needs no connection, and its receiver need not accept it. */
static int send_datagram(const char *name) {
  struct sockaddr_un address;
  socklen_t length = abstract_address(name, &address);
  tell("send", sendto(socket(AF_UNIX, SOCK_DGRAM, 0), "x", 1, 0, (void *)&address, length));
  return 0;
}

static int receive_datagram(const char *name) {
  struct sockaddr_un address;
  socklen_t length = abstract_address(name, &address);
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  char byte;
  if (bind(fd, (void *)&address, length) < 0) return tell("bind", -1), 1;
  tell("bind", 0);
  tell("receive", recv(fd, &byte, 1, 0));
  return 0;
}

/* A server and a client of the sandbox itself. */
static int connect_own(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0bale-probe-own"};
  socklen_t length = offsetof(struct sockaddr_un, sun_path) + 15;
  int server = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(server, (void *)&address, length) < 0 || listen(server, 1) < 0) return tell("listen", -1), 1;
  if (fork() == 0) _exit(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), &address, length));
  wait(NULL);
  return 0;
}

static int connect_inet(uint32_t host, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(host)}};
  return connect_to(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK * (host >> 24 != 127), 0), &address, sizeof address);
}

static int connect_inet6(int port) {
  struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  return connect_to(socket(AF_INET6, SOCK_STREAM, 0), &address, sizeof address);
}

/* Processes that will not go by themselves: each ignores SIGTERM, and half of them make sessions of their own. */
static void multiply(int count) {
  signal(SIGTERM, SIG_IGN);
  for (int n = 0; n < count; n++) {
    if (fork() != 0) continue;
    if (n % 2) setsid();
    for (;;) pause();
  }
  puts("multiplied");
  fflush(stdout);
  for (;;) pause();
}

/* A system call of another ABI than the one that the filter has its numbers for. */
static int foreign_call(void) {
#if defined __x86_64__
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "0"(20L) : "memory");
  printf("foreign %ld\n", result);
  return 0;
#else
  return 64;
#endif
}

static int x32_call(void) {
  tell("x32", syscall(0x40000000L + 39));
  return 0;
}

int main(int argc, char **argv) {
  const char *command = argc > 1 ? argv[1] : "";
  const char *first = argc > 2 ? argv[2] : "";
  if (!strcmp(command, "attempts")) return try_attempts(), 0;
  if (!strcmp(command, "descriptors")) return list_descriptors(), 0;
  if (!strcmp(command, "devices")) return change_devices(), 0;
  if (!strcmp(command, "abstract")) return connect_unix(first, 1);
  if (!strcmp(command, "own-abstract")) return connect_own();
  if (!strcmp(command, "give")) return give_root(first);
  if (!strcmp(command, "take")) return take_root(first, argc > 3 ? argv[3] : "");
  if (!strcmp(command, "send")) return send_datagram(first);
  if (!strcmp(command, "receive")) return receive_datagram(first);
  if (!strcmp(command, "unix")) return connect_unix(first, 0);
  if (!strcmp(command, "loopback")) return connect_inet(INADDR_LOOPBACK, atoi(first));
  if (!strcmp(command, "loopback6")) return connect_inet6(atoi(first));
  if (!strcmp(command, "metadata")) return connect_inet(0xa9fea9fe, 80);
  if (!strcmp(command, "signal")) return tell("signal", kill(atoi(first), SIGKILL)), 0;
  if (!strcmp(command, "multiply")) return multiply(atoi(first)), 0;
  if (!strcmp(command, "foreign")) return foreign_call();
  if (!strcmp(command, "x32")) return x32_call();
  fprintf(stderr, "probe: what is %s?\n", command);
  return 64;
}
