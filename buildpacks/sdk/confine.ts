import { accessSync, constants, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { realPaths } from '../../lifecycle/files/closable.ts'
import type { Command, Runner } from './command.ts'

/** Bale's lifecycle has it there: see lifecycle/engines/landlock. Others do not. */
const landlockProgram = '/cnb/lifecycle/landlock'

/**
 * A runner whose programs send no signals to the buildpack, do not look into its memory, and cannot write to what the command
 * calls read-only (X40). Nothing changes without the program for it; an old kernel leaves out what it does not know.
 */
export function confine(runner: Runner, landlock = landlockProgram): Runner {
  if (!existsSync(landlock)) return runner
  return (command, onLine) => {
    const { argv, readOnly = [], ...rest } = command
    const program = locate(command)
    // The runner knows how to say that a program is missing.
    if (program === undefined) return runner(command, onLine)
    const options = ['--signals', ...readOnly.flatMap(path => ['--read-only', path]), ...writable(command, readOnly)]
    return runner({ ...rest, argv: [landlock, ...options, program, ...argv.slice(1)] }, onLine)
  }
}

/**
 * Where programs write, by name: in a container whose root the job around it keeps closed, nothing else is found. That is the
 * application, which is bin/build's working directory (buildpack.md, "Build"), the command's own directory, and temporary files.
 * A directory that has something read-only below it is left out, as all below it would be writable.
 */
function writable({ cwd, env }: Command, readOnly: readonly string[]): string[] {
  if (readOnly.length === 0) return []
  const places = [process.cwd(), cwd, tmpdir(), env['TMPDIR'] ?? '', env['HOME'] ?? '']
  return realPaths([...new Set(places)].filter(path => isAbsolute(path)))
    .filter(path => !readOnly.some(closed => closed === path || closed.startsWith(`${path}/`)))
    .flatMap(path => ['--writable', path])
}

/** Where execvp(3) finds a program. */
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
