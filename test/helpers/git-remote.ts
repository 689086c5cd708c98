import { execFileSync, spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Git repositories on loopback, which git's own program serves. Each folder of a directory is one, with a branch `main`. */
export interface GitRemote extends AsyncDisposable {
  readonly url: string
  /** Replaces files of a repository by those of a folder, in a new commit of `main`. Returns the commit. */
  commit(repository: string, folder: string): Promise<string>
}

const author = ['-c', 'user.name=test', '-c', 'user.email=test@example.com']
const git = (cwd: string, ...args: string[]): string =>
  execFileSync('git', [...author, ...args], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()

/** Serves the folders of `dir` as repositories: `<url>/<folder>.git`, at an address of this machine. */
export async function serveGit(dir: string, host = '127.0.0.1'): Promise<GitRemote> {
  const root = await mkdtemp(join(tmpdir(), 'bale-git-'))
  const server = createServer((request, response) => serve(root, request, response))
  await new Promise<void>(done => server.listen(0, host, done))
  const remote: GitRemote = {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    async commit(repository, folder) {
      const work = join(root, repository)
      await cp(folder, work, { recursive: true })
      git(work, 'add', '--all')
      git(work, 'commit', '--quiet', '--message', 'new')
      git(work, 'push', '--quiet', join(root, `${repository}.git`), 'HEAD:main')
      return git(work, 'rev-parse', 'HEAD')
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>(done => void server.close(() => done()).closeAllConnections())
      await rm(root, { recursive: true })
    },
  }
  for (const folder of await readdir(dir)) {
    await mkdir(join(root, folder))
    git(join(root, folder), 'init', '--quiet', '--initial-branch=main')
    git(root, 'init', '--quiet', '--bare', '--initial-branch=main', `${folder}.git`)
    await remote.commit(folder, join(dir, folder))
  }
  return remote
}

/** One request, by git-http-backend(1): a CGI program (RFC 3875). */
function serve(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const env = {
    PATH: process.env['PATH'],
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: '1',
    REQUEST_METHOD: request.method,
    PATH_INFO: url.pathname,
    QUERY_STRING: url.search.slice(1),
    CONTENT_TYPE: request.headers['content-type'],
    HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
    GIT_PROTOCOL: request.headers['git-protocol'] as string | undefined,
  }
  const child = spawn('git', ['http-backend'], { env, stdio: ['pipe', 'pipe', 'ignore'] })
  request.pipe(child.stdin)
  const parts: Buffer[] = []
  child.stdout.on('data', (part: Buffer) => parts.push(part))
  child.once('close', () => {
    const answer = Buffer.concat(parts)
    const end = answer.indexOf('\r\n\r\n')
    const headers = answer.subarray(0, end).toString().split('\r\n')
    const status = headers.find(line => line.startsWith('Status: '))?.slice(8, 11) ?? '200'
    for (const line of headers.filter(header => !header.startsWith('Status: '))) {
      const [name = '', value = ''] = line.split(/: (.*)/s)
      response.setHeader(name, value)
    }
    response.writeHead(Number(status)).end(answer.subarray(end + 4))
  })
}
