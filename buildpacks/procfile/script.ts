import { type App, BuildpackError, firstSetting, shellQuote } from '../sdk/index.ts'

/** A shell script that starts an application without a recognised language: `start.sh`, or the file that RAILPACK_SHELL_SCRIPT names. */
export interface Script {
  readonly file: string
  /** A shell command. The script does not have to be executable. */
  readonly command: string
}

/** @throws BuildpackError if a setting names a missing script, or if the script's first line ends in a carriage return */
export async function findScript(app: App, env: Readonly<Record<string, string>>): Promise<Script | undefined> {
  const setting = firstSetting(env, 'RAILPACK_SHELL_SCRIPT')
  const file = setting?.value ?? 'start.sh'
  if (!(await app.has(file))) {
    if (setting === undefined) return undefined
    throw new BuildpackError(`there is no file ${file}`, { where: setting.name, fix: 'correct the name' })
  }
  const first = /^#!([^\n]*)/.exec((await app.read(file)) ?? '')?.[1]
  if (first?.endsWith('\r')) {
    throw new BuildpackError('it has Windows line ends (CRLF), so Linux cannot find the program in its first line', {
      where: `${file}:1`,
      fix: `run: sed -i 's/\\r$//' ${shellQuote(file)}`,
    })
  }
  return { file, command: `exec ${first?.trim() || 'bash'} ${shellQuote(file)}` }
}
