import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from './bale.ts'
import { freePort, missing } from './docker-registry.ts'
import type { Available } from './skip.ts'

/** A real Kubernetes of one node: see test/kubernetes. */
export interface Cluster {
  readonly kubeconfig: string
  /** Where a registry can listen that pods reach, and that the node pulls from without TLS. */
  readonly registryAddress: string
  /** Where pods reach the API: this cluster has no addresses of Services. */
  readonly apiAddress: { readonly host: string; readonly port: string }
  kubectl(...args: string[]): Promise<string>
  /** Imports an image of an OCI archive under a name. */
  importImage(file: string, name: string): Promise<void>
  /** Kills a component as a crash does: kubelet. */
  kill(component: string): Promise<void>
  /** Starts the components that do not run. */
  up(): Promise<void>
  stop(): Promise<void>
}

const run = promisify(execFile)
const scripts = join(root, 'test/kubernetes')
const programs = ['containerd', 'runc', 'ctr', 'iptables', 'ip', 'openssl', 'python3']

/** Where `test/kubernetes/build` puts the programs. */
const binaries = (): string =>
  process.env.BALE_TEST_KUBERNETES ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bale-test/kubernetes')

/** Starts the cluster. If tests may not be skipped, builds it first, which takes minutes. */
export async function startCluster(): Promise<Available<Cluster>> {
  const absent = (reason: string) => ({ state: 'missing', reason }) as const
  if (process.getuid?.() !== 0) return absent('a node of Kubernetes needs root')
  for (const program of programs) {
    const why = missing(program)
    if (why !== undefined) return absent(why)
  }
  if (!['/usr/lib/cni/bridge', '/opt/cni/bin/bridge'].some(path => existsSync(path)))
    return absent('containernetworking-plugins is not installed')
  const bin = binaries()
  if (process.env.BALE_FORBID_SKIPS === '1') await build(bin)
  if (!existsSync(join(bin, '.built')))
    return absent(`no Kubernetes is built here; in four minutes: test/kubernetes/build ${bin}`)
  // The path of a socket below it may have no more than 100 characters.
  const dir = await mkdtemp(join(tmpdir().length > 40 ? '/tmp' : tmpdir(), 'bale-k-'))
  const registryAddress = `10.88.0.1:${await freePort()}`
  const env = { ...process.env, KUBE_HTTP_REGISTRIES: registryAddress, KUBE_NODE_GRACE: '10s', KUBE_BIND: '0.0.0.0' }
  const up = async () => {
    await run(join(scripts, 'up'), [dir, bin], { env })
  }
  const stop = async () => {
    await run(join(scripts, 'down'), [dir, '--delete'])
  }
  try {
    await up()
  } catch (error) {
    await stop().catch(() => {})
    const { stderr = '', stdout = '' } = error as { stderr?: string; stdout?: string }
    return absent(`Kubernetes does not start here: ${(stderr + stdout).trim().split('\n').slice(-3).join(' / ')}`)
  }
  const kubeconfig = join(dir, 'kubeconfig')
  const socket = join(dir, 'containerd/state/c.sock')
  const value: Cluster = {
    kubeconfig,
    registryAddress,
    apiAddress: { host: '10.88.0.1', port: '16443' },
    async kubectl(...args) {
      const argv = ['--kubeconfig', kubeconfig, '--request-timeout', '20s', ...args]
      return (await run(join(bin, 'kubectl'), argv, { maxBuffer: 1 << 24 })).stdout
    },
    async importImage(file, name) {
      await run('ctr', ['-a', socket, '-n', 'k8s.io', 'images', 'import', '--index-name', name, file])
    },
    async kill(component) {
      const [pid] = (await readFile(join(dir, 'run', `${component}.pid`), 'utf8')).split(' ')
      process.kill(Number(pid), 'SIGKILL')
    },
    up,
    stop,
  }
  return { state: 'available', value }
}

/** Waits for another process that builds it already. */
async function build(bin: string): Promise<void> {
  execFileSync('mkdir', ['-p', bin])
  await run('flock', [`${bin}.lock`, join(scripts, 'build'), bin], { maxBuffer: 1 << 24 })
}
