import { describe, expect, it } from 'vitest'
import { App, Log } from '../../../buildpacks/sdk/index.ts'
import { findOwnConfig, type Piece } from '../../../buildpacks/static/own-config.ts'
import { failureOf } from '../../helpers/failure.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'

async function configOf(tree: Tree, env: Record<string, string> = {}, hasPages = false) {
  const dir = await temporaryDirectory()
  await writeTree(dir, tree)
  let said = ''
  const note = (text: string) => void (said += text)
  const log = new Log({ stdout: note, stderr: note })
  const config = await findOwnConfig(new App(dir), env, hasPages, log)
  return { config, said, text: (config?.pieces ?? []).map(asText).join('') }
}

const asText = (piece: Piece) =>
  typeof piece === 'string' ? piece : piece.is === 'env' ? `$${piece.name}` : `<${piece.is}>`

const whole =
  'daemon off; pid /x; access_log off; client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;\n'

describe('an nginx.conf of the application', () => {
  it('gets what it lacks to run as no daemon and to write to a temporary directory alone', async () => {
    const { text } = await configOf({ 'nginx.conf': 'events {}\nhttp { server { listen {{ port }}; } }\n' })
    expect(text).toBe(
      'daemon off; pid <tempDir>/nginx.pid; events {}\n' +
        'http { client_body_temp_path <tempDir>/client_body; proxy_temp_path <tempDir>/proxy; fastcgi_temp_path <tempDir>/fastcgi; ' +
        'uwsgi_temp_path <tempDir>/uwsgi; scgi_temp_path <tempDir>/scgi; access_log <access>;  server { listen <port>; } }\n',
    )
    expect((await configOf({ 'nginx.conf': `${whole}http { }` })).text).toBe(`${whole}http {  }`)
  })

  it('may name variables and modules', async () => {
    const { text, config } = await configOf({
      'nginx.conf': `{{module "ngx_stream_module"}} ${whole}{{- env "API_URL" -}} {{tempDir}}`,
    })
    expect(text).toBe(`load_module <nginx>/usr/lib/nginx/modules/ngx_stream_module.so; ${whole}$API_URL <tempDir>`)
    expect(config?.modules).toEqual(['ngx_stream_module'])
  })

  it('has the files in it that it includes', async () => {
    const { text } = await configOf(
      {
        'deploy/nginx.conf': `${whole}http {\n  include mime.types;\n  include "sites/*.conf";\n  include /etc/nginx/proxy_params;\n}\n`,
        'deploy/sites/b.conf': 'server { listen {{port}}; }',
        'deploy/sites/a.conf': 'include deeper.conf;',
        'deploy/sites/a.conf.bak': 'x',
        'deploy/deeper.conf': 'gzip on;',
        'nginx.conf': 'another',
      },
      { BP_NGINX_CONF_LOCATION: 'deploy/nginx.conf' },
    )
    expect(text).toBe(
      `${whole}http { \ninclude <nginx>/etc/nginx/mime.types;\ngzip on;\n\nserver { listen <port>; }\n\n  include <nginx>/etc/nginx/proxy_params;\n}\n`,
    )
  })

  it('of a Dockerfile beside pages is not read, and that is said', async () => {
    const { config, said } = await configOf({ 'nginx.conf': 'http { server { listen 80; } }' }, {}, true)
    expect(config).toBeUndefined()
    expect(said).toContain('nginx.conf is ignored, since it does not contain {{port}}')
    expect((await configOf({ 'nginx.conf': 'http { server { listen 80; } }' })).config).toBeDefined()
    expect((await configOf({ 'nginx.conf': 'listen {{port}};' }, {}, true)).config).toBeDefined()
    expect((await configOf({}, {}, true)).config).toBeUndefined()
  })

  it.each<[string, Tree, Record<string, string>, string, string]>([
    ['an unknown template', { 'nginx.conf': 'a\n{{ .Port }}' }, {}, 'nginx.conf:2', '{{ .Port }} is unknown'],
    ['a variable’s name that is none', { 'nginx.conf': '{{env "A;B"}}' }, {}, 'nginx.conf:1', 'is unknown'],
    ['one in an included file', { 'nginx.conf': 'include a;', a: '\n\n{{x}}' }, {}, 'a:3', '{{x}} is unknown'],
    ['an included file that is not there', { 'nginx.conf': 'include a.conf;' }, {}, 'nginx.conf', 'includes a.conf'],
    ['one outside', { 'nginx.conf': 'include ../a.conf;' }, {}, 'nginx.conf', '../a.conf is outside the source'],
    ['a circle', { 'nginx.conf': 'include nginx.conf;' }, {}, 'nginx.conf', 'files include each other'],
    [
      'a setting for no file',
      {},
      { BP_NGINX_CONF_LOCATION: 'x.conf' },
      'BP_NGINX_CONF_LOCATION',
      'there is no file x.conf',
    ],
    ['a setting outside', {}, { BP_NGINX_CONF_LOCATION: '../x' }, 'BP_NGINX_CONF_LOCATION', 'is outside the source'],
  ])('with %s is an error', async (_name, tree, env, where, message) => {
    expect(await failureOf(configOf(tree, env))).toMatchObject({
      where,
      message: expect.stringContaining(message) as string,
    })
  })
})
