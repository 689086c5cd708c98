import { accessSync, constants, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { realPaths } from '../../lifecycle/files/closable.ts'
import type { Command, Runner } from './command.ts'

/** Bale's lifecycle has this program (lifecycle/engines/landlock). Other lifecycles do not. */
const landlockProgram = '/cnb/lifecycle/landlock'

/**
 * A runner whose programs send no signals to the buildpack, do not read its memory, and cannot write to the command's read-only paths
 * (X40). Without the landlock program nothing changes. An old kernel ignores restrictions that it does not know.
 */
export function confine(runner: Runner, landlock = landlockProgram): Runner {
  if (!existsSync(landlock)) return runner
  return (command, onLine) => {
    const { argv, readOnly = [], ...rest } = command
    const program = locate(command)
    // The runner reports a missing program itself.
    if (program === undefined) return runner(command, onLine)
    const options = ['--signals', ...readOnly.flatMap(path => ['--read-only', path]), ...writable(command, readOnly)]
    return runner({ ...rest, argv: [landlock, ...options, program, ...argv.slice(1)] }, onLine)
  }
}

/**
 * Paths that programs may write to: the application, which is bin/build's working directory (buildpack.md, "Build"), the command's own
 * directory, and temporary files. They have to be named, since in a container whose root is closed by its job no others can be found. A
 * directory with a read-only path below it is left out, since everything below it would be writable.
 */
function writable({ cwd, env }: Command, readOnly: readonly string[]): string[] {
  if (readOnly.length === 0) return []
  const places = [process.cwd(), cwd, tmpdir(), env['TMPDIR'] ?? '', env['HOME'] ?? '']
  return realPaths([...new Set(places)].filter(path => isAbsolute(path)))
    .filter(path => !readOnly.some(closed => closed === path || closed.startsWith(`${path}/`)))
    .flatMap(path => ['--writable', path])
}

/** The path at which execvp(3) finds a program. */
function locate({ argv: [name], cwd, env }: Command): string | undefined {
  if (name.includes('/')) return isExecutable(resolve(cwd, name)) ? resolve(cwd, name) : undefined
  const dirs = (env['PATH'] ?? '').split(':')
  return dirs.map(dir => join(resolve(cwd, dir), name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
