import { spawnSync } from 'node:child_process'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { serveScript } from '../../buildpacks/php/serve-script.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

/** What the script writes for PHP-FPM and for the server in front of it, when a user of this id starts it. */
async function configurations(
  server: 'nginx' | 'httpd',
  user: number,
  more: Record<string, string> = {},
): Promise<string> {
  const dir = await temporaryDirectory()
  const programs = {
    'bin/id': `#!/bin/sh\necho ${user}\n`,
    'bin/php-fpm': '#!/bin/sh\nwhile [ "$1" != --fpm-config ]; do shift; done\ncat "$2"\n',
    'usr/sbin/nginx': '#!/bin/sh\nexit 0\n',
    'usr/sbin/apache2': '#!/bin/sh\ncat "$2"\nstat -c "its directory has %a" "${2%/*}"\n',
  }
  const script = serveScript({
    ...{ server: { name: server, path: dir }, dir, app: dir, root: dir },
    ...{ memoryLimit: undefined, fpmFiles: false, prepare: '' },
  })
  await writeTree(dir, { ...programs, 'bin/serve-php': script })
  for (const name of [...Object.keys(programs), 'bin/serve-php']) await chmod(join(dir, name), 0o755)
  const env = { PATH: `${join(dir, 'bin')}:${process.env['PATH'] ?? ''}`, TMPDIR: dir, ...more }
  const { stdout, stderr, status } = spawnSync(join(dir, 'bin/serve-php'), ['--check'], { env, encoding: 'utf8' })
  expect(status, stderr).toBe(0)
  return stdout
}

describe('the socket of PHP-FPM', () => {
  it.each([
    ['nginx', 1002, undefined],
    ['httpd', 1002, undefined],
    ['nginx', 0, 'root'],
    ['httpd', 0, '65534'],
  ] as const)('of %s started by user %i is opened by nobody but who serves', async (server, user, owner) => {
    const text = await configurations(server, user)
    expect(text).toContain('listen.mode = 0600\n')
    expect(/listen\.owner = (.*)/.exec(text)?.[1]).toBe(owner)
    if (server === 'httpd') expect(text).toContain(`its directory has ${user === 0 ? '711' : '700'}`)
    if (owner === '65534') expect(text).toContain('User #65534\nGroup #65534\n')
  })
})

describe('the number of PHP processes', () => {
  it.each<[Record<string, string>, string]>([
    [{ PHP_FPM_MAX_CHILDREN: '7', WEB_CONCURRENCY: '3' }, '7'],
    [{ WEB_CONCURRENCY: '3' }, '3'],
  ])('for %j is %s', async (env, count) => {
    expect(await configurations('nginx', 1002, env)).toContain(`pm.max_children = ${count}\n`)
  })

  it('is what the machine allows for a setting that is not a number', async () => {
    const text = await configurations('nginx', 1002, { PHP_FPM_MAX_CHILDREN: 'many' })
    expect(text).toMatch(/^pm\.max_children = [1-9]\d*$/m)
  })

  it('has a lifetime in requests', async () => {
    expect(await configurations('httpd', 1002, { PHP_FPM_MAX_REQUESTS: '500' })).toContain('pm.max_requests = 500\n')
  })
})
