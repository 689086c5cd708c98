import type { App, Log } from '../../sdk/index.ts'

/** The variable that tells an Angular server at run time which hosts it answers for. */
const variable = 'NG_ALLOWED_HOSTS'

/**
 * Warns of an Angular server that refuses each request. Since 2026 it answers only for hosts that it knows, and its starter names none.
 * Only the user can name them, since any other name may be an attacker's.
 */
export async function warnOfUnknownHosts(
  app: App,
  env: Readonly<Record<string, string>>,
  log: Pick<Log, 'warning'>,
): Promise<void> {
  const checks = (await app.read('node_modules/@angular/ssr/fesm2022/node.mjs'))?.includes(variable) === true
  if (!checks || Object.keys(env).some(name => name.endsWith(variable))) return
  if (/"allowedHosts"\s*:\s*\[\s*"/.test((await app.read('angular.json')) ?? '')) return
  if ((await app.read('src/server.ts'))?.includes('allowedHosts') === true) return
  log.warning(
    'the server will answer each request with 400, because it has no allowed hosts',
    `Run the image with ${variable}=shop.example.com, or add "security": { "allowedHosts": ["shop.example.com"] } to the build's options in angular.json.`,
  )
}
