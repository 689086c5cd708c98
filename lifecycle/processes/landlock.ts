import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** The first versions of the kernel's interface that support each restriction (Linux 5.19, 6.2 and 6.12). */
export const landlockVersions = { files: 2, readOnly: 3, scopes: 6 } as const

/**
 * The version of Landlock's interface in the kernel: 0 without Landlock, or without the program.
 * @param program the program of lifecycle/engines/landlock
 */
export async function landlockVersion(program: string): Promise<number> {
  return await promisify(execFile)(program, [], { env: {} }).then(
    ({ stdout }) => Number(stdout) || 0,
    () => 0,
  )
}
