import { posix } from 'node:path'
import type { App } from './app.ts'
import { firstSetting } from './platform.ts'

/** Settings that name the directory with the pages: Paketo's, and Railpack's two. */
export const rootSettings = ['BP_WEB_SERVER_ROOT', 'RAILPACK_STATIC_FILE_ROOT', 'RAILPACK_SPA_OUTPUT_DIR'] as const

/** How each file names the directory with the pages. */
const configs: Readonly<Record<string, RegExp>> = {
  'project.toml': /^\s*\[com\.heroku\.static-web-server\][^[]*?^\s*root\s*=\s*["']([^"']+)/m,
  'static.json': /"root"\s*:\s*"([^"]+)"/,
  Staticfile: /^root:\s*["']?([^"'\s#]+)/m,
}

/** The directory of the source that a setting or a file of static sites names; undefined if none does. */
export async function namedRoot(app: App, env: Readonly<Record<string, string>>): Promise<string | undefined> {
  let named = firstSetting(env, ...rootSettings)?.value
  for (const [file, pattern] of Object.entries(configs)) named ??= pattern.exec((await app.read(file)) ?? '')?.[1]
  return named === undefined
    ? undefined
    : posix.normalize(`./${named.replace(/^\/(?:workspace\/)?/, '')}`).replace(/(?<=.)\/$/, '')
}
