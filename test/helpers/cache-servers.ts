import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './bale.ts'
import { type Served, serve } from './programs.ts'

/** A real server with a new folder, which is deleted with it. */
export interface CacheServer extends Served {
  readonly dir: string
}

async function inFolder(start: (dir: string, port: number) => Promise<Served>): Promise<CacheServer> {
  const dir = mkdtempSync(join(tmpdir(), 'bale-cache-server-'))
  chmodSync(dir, 0o755)
  const served = await start(dir, await freePort())
  return {
    ...served,
    dir,
    async close() {
      await served.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

export const httpLogin = { username: 'ann', password: 'hunter2-s3cret' }

/** nginx, which takes PUT below /open without a password, and below /closed with one. */
export function startNginx(): Promise<CacheServer> {
  return inFolder((dir, port) => {
    for (const name of ['open', 'closed', 'tmp']) {
      mkdirSync(join(dir, name))
      chmodSync(join(dir, name), 0o777)
    }
    const hash = execFileSync('openssl', ['passwd', '-apr1', httpLogin.password], { encoding: 'utf8' }).trim()
    writeFileSync(join(dir, 'htpasswd'), `${httpLogin.username}:${hash}\n`)
    const dav = (more = '') => `{ dav_methods PUT; create_full_put_path on; client_max_body_size 20m; ${more} }`
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(p => `${p}_temp_path ${dir}/tmp;`)
    writeFileSync(
      join(dir, 'nginx.conf'),
      `daemon off; pid ${dir}/pid; error_log ${dir}/error.log; events {}
      http { access_log off; ${temporary.join(' ')}
        server { listen 127.0.0.1:${port}; root ${dir};
          location /open/ ${dav()}
          location /closed/ ${dav(`auth_basic cache; auth_basic_user_file ${dir}/htpasswd;`)}
        } }`,
    )
    return serve(port, ['nginx', '-e', join(dir, 'error.log'), '-c', join(dir, 'nginx.conf')])
  })
}

export const redisPassword = 'hunter2-s3cret'

export function startRedis(): Promise<CacheServer> {
  return inFolder((dir, port) =>
    serve(port, [
      'redis-server',
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      dir,
      '--save',
      '',
      '--requirepass',
      redisPassword,
    ]),
  )
}

export const s3Login = { accessKeyId: 'bale-tests', secretAccessKey: 'hunter2-s3cret-access-key' }
const versitygw = 'v1.8.0'

/** An S3 server over a directory, which checks signatures. Its folders are buckets: there is one, `builds`. */
export function startS3(): Promise<CacheServer> {
  const bin = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'bale-tests', `versitygw-${versitygw}`)
  const program = join(bin, 'versitygw')
  if (!existsSync(program)) {
    const env = { ...process.env, GOBIN: bin }
    execFileSync('go', ['install', `github.com/versity/versitygw/cmd/versitygw@${versitygw}`], {
      env,
      stdio: 'inherit',
    })
  }
  return inFolder((dir, port) => {
    for (const folder of ['meta', 'data/builds']) mkdirSync(join(dir, folder), { recursive: true })
    const env = { ROOT_ACCESS_KEY: s3Login.accessKeyId, ROOT_SECRET_KEY: s3Login.secretAccessKey }
    return serve(
      port,
      [program, '--port', `127.0.0.1:${port}`, '--quiet', 'posix', '--sidecar', join(dir, 'meta'), join(dir, 'data')],
      { env },
    )
  })
}
