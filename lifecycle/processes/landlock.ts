import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** The first versions of the kernel's interface that have what restrictions need (Linux 5.19, 6.2 and 6.12). */
export const landlockVersions = { files: 2, readOnly: 3, scopes: 6 } as const

/**
 * The version of the kernel's interface: 0 without Landlock, or without the program.
 * @param program that of lifecycle/engines/landlock
 */
export async function landlockVersion(program: string): Promise<number> {
  return await promisify(execFile)(program, [], { env: {} }).then(
    ({ stdout }) => Number(stdout) || 0,
    () => 0,
  )
}
