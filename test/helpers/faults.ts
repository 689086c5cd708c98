import fs from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

/** Calls of lifecycle/files and its users that change the disk. */
const names = ['mkdir', 'rename', 'link', 'unlink', 'rm', 'rmdir', 'writeFile', 'utimes'] as const
const onHandles = ['write', 'sync'] as const

export interface Call {
  readonly name: string
  /** Counts from 1. */
  readonly number: number
  /** Executes the call; for a write, only its first half. */
  readonly half: () => Promise<unknown>
}

type Method = (...args: unknown[]) => Promise<unknown>

/**
 * Calls the hook before every call that changes the disk, until `restore` is called. The hook may end the process, or throw
 * an error of the operating system.
 */
export async function interceptWrites(
  hook: (call: Call) => Promise<void> | void,
): Promise<{ restore(): void; count(): number }> {
  let count = 0
  const undo: (() => void)[] = []
  const replace = (
    target: Record<string, Method>,
    name: string,
    half: (self: unknown, args: unknown[]) => Promise<unknown>,
  ): void => {
    const original = target[name] as Method
    target[name] = async function (this: unknown, ...args: unknown[]) {
      const isWrite = name !== 'open' || /[wa+]/.test(typeof args[1] === 'string' ? args[1] : 'r')
      if (isWrite) await hook({ name, number: ++count, half: () => half(this, args) })
      return original.apply(this, args)
    }
    undo.push(() => void (target[name] = original))
  }
  const promises = fs.promises as unknown as Record<string, Method>
  for (const name of [...names, 'open']) replace(promises, name, () => Promise.resolve())
  const handle: FileHandle = await open('/dev/null')
  const prototype = Object.getPrototypeOf(handle) as Record<string, Method>
  await handle.close()
  for (const name of onHandles) {
    const original = prototype[name] as Method
    replace(prototype, name, (self, args) => {
      if (name !== 'write') return Promise.resolve()
      const bytes = args[0] as Uint8Array
      return original.call(self, bytes.subarray(0, bytes.length / 2), 0)
    })
  }
  syncBuiltinESMExports()
  return {
    count: () => count,
    restore() {
      for (const one of undo) one()
      syncBuiltinESMExports()
    },
  }
}

export function osError(code: 'ENOSPC' | 'EIO' | 'EDQUOT' | 'EPERM', name: string): Error {
  return Object.assign(new Error(`${code}: injected, ${name}`), { code, syscall: name })
}
