import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseReference } from '../lifecycle/image/reference.ts'
import { openRegistry, registryStore } from '../lifecycle/stores/registry/store.ts'
import { type Running, bale, root, startBale } from './helpers/bale.ts'
import { putRunImage } from './helpers/app-image.ts'
import { builderImageArchive } from './helpers/builder-image.ts'
import { startCluster } from './helpers/cluster.ts'
import { type DockerRegistry, login, missing, startDockerRegistry } from './helpers/docker-registry.ts'
import { type Available, suiteWith } from './helpers/skip.ts'
import { textOfExample } from './helpers/ci-examples.ts'
import { serveGit } from './helpers/git-remote.ts'
import { platform } from './helpers/images.ts'
import { credentialsOf } from './helpers/registry/set-up.ts'
import { writeTree } from './helpers/tree.ts'
import { addScriptBuildpack } from './helpers/script-builder.ts'

// Builds in pods of a real Kubernetes, with the builder image and a registry that asks for a password. After each of them nothing is
// left in the namespace, and no source in the registry.

const absent = missing('docker-registry')
const cluster: Available<Awaited<ReturnType<typeof startCluster>> extends Available<infer C> ? C : never> =
  absent === undefined ? await startCluster() : { state: 'missing', reason: absent }
const builder = 'docker.io/bale/builder:test'

suiteWith('builds in pods', cluster, kubernetes => {
  const { registryAddress } = kubernetes
  const kubectl = (...args: Parameters<typeof kubernetes.kubectl>) => kubernetes.kubectl(...args)
  let dir: string
  let registry: DockerRegistry
  let count = 0

  const basic = Buffer.from(`${login.username}:${login.password}`).toString('base64')
  const env = {
    KUBECONFIG: kubernetes.kubeconfig,
    CNB_REGISTRY_AUTH: JSON.stringify({ [registryAddress]: `Basic ${basic}` }),
    CNB_INSECURE_REGISTRIES: registryAddress,
  }
  /** The source of an app whose build is this script. */
  const app = async (script: string): Promise<string> => {
    const path = join(dir, `app-${++count}`)
    await writeTree(path, { 'build.sh': script, Procfile: 'web: true\n' })
    return path
  }
  const settingsFile = async (settings: object): Promise<string> => {
    const path = join(dir, `settings-${++count}.yaml`)
    await writeFile(path, JSON.stringify({ builder, imagePullPolicy: 'Never', ...settings }))
    return path
  }
  const argv = async (source: string, settings: object = {}, ...more: string[]): Promise<string[]> => [
    ...['build', `${registryAddress}/team/app-${count}:1`, '--publish', '--path', source],
    ...['--on', 'kubernetes:/builds', '--on-settings', await settingsFile(settings), ...more],
  ]
  const build = async (source: string, settings: object = {}, ...more: string[]) =>
    bale(await argv(source, settings, ...more), { env })
  const start = async (source: string, settings: object = {}): Promise<Running> =>
    startBale(await argv(source, settings), { env })
  const said = async (running: Running, text: string | RegExp) => {
    for (const end = Date.now() + 90_000; Date.now() < end; await new Promise(done => setTimeout(done, 50))) {
      if (running.output().search(text) >= 0) return
      if (running.child.exitCode !== null) break
    }
    throw new Error(`it did not print ${String(text)}:\n${running.output()}`)
  }
  const tags = async (repository: string): Promise<string[]> => {
    const headers = { authorization: `Basic ${basic}` }
    const answer = await fetch(`http://${registryAddress}/v2/${repository}/tags/list`, { headers })
    return ((await answer.json()) as { tags?: string[] | null }).tags ?? []
  }
  const inBuilds = ['-n', 'builds']
  const secretOfRegistry = (name: string, password: string): string[] => [
    ...['create', 'secret', 'docker-registry', name, `--docker-server=${registryAddress}`],
    ...[`--docker-username=${login.username}`, `--docker-password=${password}`],
  ]
  /** Waits until the pods of what was deleted are gone. */
  const gone = async () => {
    await kubectl(...inBuilds, 'wait', '--for=delete', '--timeout=60s', '--request-timeout=0', 'pods', '--all')
  }
  /** What the main container of a Job said, once it has ended. */
  const logOf = async (name: string): Promise<string> => {
    for (const end = Date.now() + 120_000; Date.now() < end; await new Promise(done => setTimeout(done, 300))) {
      const status = await kubectl(...inBuilds, 'get', 'job', name, '-o', 'jsonpath={.status.conditions[*].type}')
      if (/Complete|Failed/.test(status)) return kubectl(...inBuilds, 'logs', `job/${name}`)
    }
    throw new Error(`the Job ${name} does not end:\n${await kubectl(...inBuilds, 'describe', 'pods')}`)
  }
  const nothingLeft = async () => {
    const left = await kubectl('-n', 'builds', 'get', 'jobs,pods,secrets,configmaps', '-o', 'name')
    expect(left.trim().split('\n')).toEqual(['configmap/kube-root-ca.crt'])
    const catalog = await fetch(`http://${registryAddress}/v2/_catalog`, {
      headers: { authorization: `Basic ${basic}` },
    })
    const { repositories } = (await catalog.json()) as { repositories: string[] }
    const all = await Promise.all(repositories.map(tags))
    expect(all.flat().filter(tag => tag.startsWith('bale-source'))).toEqual([])
  }

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'bale-test-cluster-'))
    registry = await startDockerRegistry({ secure: false, withLogin: true, deletes: true, address: registryAddress })
    const made = await builderImageArchive(join(dir, 'dist'))
    await addScriptBuildpack(made, join(dir, 'builder.tar'))
    await kubernetes.importImage(join(dir, 'builder.tar'), builder)
    await kubectl('create', 'namespace', 'builds')
    await kubectl('label', 'namespace', 'builds', 'pod-security.kubernetes.io/enforce=restricted')
  }, 900_000)
  afterAll(async () => {
    await registry?.close()
    await kubernetes.stop()
    await rm(dir, { recursive: true, force: true })
  }, 120_000)

  it('makes the image that is asked for, from a directory, and says what it does as a build here does', async () => {
    const source = await app('echo "A is $A"; test ! -e left-out; echo built > made')
    await writeTree(source, { 'left-out': 'x', '.dockerignore': 'left-out\n' })
    const digests = join(dir, 'digest')
    const cache = `${registryAddress}/team/cache`
    const first = await build(source, {}, '--env', 'A=of-the-user', '--digest-file', digests, '--cache-image', cache)
    expect(first.code, first.output).toBe(0)
    const phases = [...first.output.matchAll(/^===> (\w+)$/gm)].map(m => m[1])
    expect(phases).toEqual(['ANALYZING', 'DETECTING', 'RESTORING', 'BUILDING', 'EXPORTING'])
    expect(first.output).toContain('A is of-the-user')
    const digest = (await readFile(digests, 'utf8')).trim()
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(first.output).toContain(digest.slice(7, 19))
    const image = await bale(['inspect', `docker://${registryAddress}/team/app-${count - 1}@${digest}`], { env })
    expect(image.code, image.output).toBe(0)
    await nothingLeft()
    // The same from the same: and what the first one left is found in the registry.
    const again = await build(source, {}, '--env', 'A=of-the-user', '--digest-file', digests, '--cache-image', cache)
    expect(again.code, again.output).toBe(0)
    expect((await readFile(digests, 'utf8')).trim()).toBe(digest)
    await nothingLeft()
  })

  // Every variable, every process, every file that it may read, and what a service account would have.
  const search = `
    for dir in / /proc/[0-9]*/root/; do
      find "$dir" -xdev -type f -size -2000k -not -path '/proc/*' -not -path '/sys/*' -not -path '/workspace/build.sh' 2>/dev/null
    done | while read -r f; do grep -lF -e "$C1" -e "$C2" "$f" 2>/dev/null; done | sed 's/^/FOUND /'
    for d in /layers /workspace /platform /tmp /home /bale /registry /cache /source; do
      find "$d" -type f 2>/dev/null | while read -r f; do grep -lF -e "$C1" -e "$C2" "$f"; done | sed 's/^/FOUND /'
    done
    cat /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -F -e REGISTRY_AUTH -e DOCKER_CONFIG | sed 's/^/FOUND /'
    ls /var/run/secrets /run/secrets 2>/dev/null | sed 's/^/FOUND /'
    echo x 2>/dev/null >/bale/analyzed.toml && echo FOUND a way to write what names the images
    touch /platform/env/X 2>/dev/null && echo FOUND a way to write variables
    grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status
    id -u; echo end of the search`

  it('K20 a buildpack that searches its whole pod finds no credential and no token', async () => {
    // Halves, so that the script itself does not hold what it looks for.
    const halves = (text: string) => `"${text.slice(0, 5)}""${text.slice(5)}"`
    const source = await app(`C1=${halves(login.password)}; C2=${halves(basic)}\n${search}`)
    const built = await build(source)
    expect(built.code, built.output).toBe(0)
    expect(built.output).toContain('end of the search')
    expect(built.output).not.toContain('FOUND')
    expect(built.output).toMatch(/CapEff:\s*0+\n[\s\S]*NoNewPrivs:\s*1\n[\s\S]*Seccomp:\s*2\n\s*1000\n/)
    await nothingLeft()
  })

  it('buildpacks read secrets as bindings, which no log and no image holds', async () => {
    const token = 'canary-of-this-user'
    const ofTeam = 'canary-of-the-team'
    await kubectl(
      ...inBuilds,
      'create',
      'secret',
      'generic',
      'team',
      '--from-literal=type=maven',
      `--from-literal=pw=${ofTeam}`,
    )
    await kubectl(...inBuilds, 'create', 'configmap', 'trusted', '--from-literal=bundle=the authorities of the team')
    const script = `
      cat /etc/ssl/certs/ca-certificates.crt; echo
      cd "$CNB_PLATFORM_DIR/bindings" && cat npm/type npm/.npmrc team/type team/pw; echo
      test "$(cat npm/.npmrc)" = ${token.slice(0, 5)}""${token.slice(5)} && test "$(cat team/type)" = maven && echo all read
      ! touch npm/x 2>/dev/null || echo FOUND a way to write`
    const given = ['--secret', 'id=npm,type=npmrc,key=.npmrc,env=TOKEN', '--label', 'team=a,b', '--annotation', 'x=y']
    const withToken = { env: { ...env, TOKEN: token } }
    const kept = await start(await app('cat "$CNB_PLATFORM_DIR/bindings/team/pw"; sleep 15'), { bindings: ['team'] })
    await said(kept, /\*\*\*/)
    const log = await kubectl(...inBuilds, 'logs', '-l', 'app.kubernetes.io/managed-by=bale', '-c', 'build')
    expect(log).toContain('***')
    expect(log).not.toContain(ofTeam)
    kept.child.kill('SIGINT')
    await kept.ended

    const source = await app(script)
    const certificates = { configMap: 'trusted', key: 'bundle' }
    const built = await bale(await argv(source, { bindings: ['team'], certificates }, ...given), withToken)
    expect(built.code, built.output).toBe(0)
    expect(built.output).toContain('the authorities of the team')
    expect(built.output).toContain('all read')
    expect(built.output).not.toMatch(/canary-of|FOUND/)
    const shown = await bale(['inspect', `docker://${registryAddress}/team/app-${count - 1}:1`, '--output', 'json'], {
      env,
    })
    expect(shown.output).not.toContain('canary-of')
    // The other one is in the app, and nothing is pushed.
    const keeps = await app('cp "$CNB_PLATFORM_DIR/bindings/team/pw" "$CNB_PLATFORM_DIR/bindings/npm/.npmrc" .')
    const refused = await bale(await argv(keeps, { bindings: ['team'] }, ...given), withToken)
    expect(refused.output).toMatch(
      /ERROR: \/workspace\/(\.npmrc|pw): it contains the secret (npm|team), so the image is not published/,
    )
    expect(refused.code).toBe(62)
    expect(await tags(`team/app-${count - 1}`)).toEqual([])
    await kubectl(...inBuilds, 'delete', 'secret/team', 'configmap/trusted')
    await nothingLeft()
  })

  it('buildpacks of the builder image are chosen by the user and by project.toml', async () => {
    const source = await app('echo the script ran')
    const other = await build(source, {}, '--buildpack', 'bale/procfile')
    expect(other.code, other.output).toBe(0)
    expect(other.output).not.toContain('the script ran')
    await writeTree(source, {
      'project.toml':
        '[_]\nschema-version = "0.2"\n[[io.buildpacks.group]]\nid = "test/script"\n[[io.buildpacks.pre.buildpacks]]\nid = "bale/absent"\n',
    })
    const absent = await build(source)
    expect(absent.stderr).toMatch(/^ERROR: .*the buildpack bale\/absent is not in the builder/m)
    const both = await build(source, {}, '--pre-buildpack', 'bale/procfile')
    expect(both.code, both.output).toBe(0)
    expect(both.output).toContain('the script ran')
    await nothingLeft()
  })

  it('a buildpack that fails has the status and the message of a build here', async () => {
    const built = await build(await app('echo I give up; exit 7'))
    expect(built.code, built.output).toBe(51)
    expect(built.output).toContain('I give up')
    expect(built.stderr).toMatch(/^ERROR: .*test\/script/m)
    await nothingLeft()
  })

  it.each(['job', 'cronjob'])('examples/ci/kubernetes/%s.yaml is such that the cluster takes it', async kind => {
    const file = join(root, `examples/ci/kubernetes/${kind}.yaml`)
    const argv = ['apply', '--dry-run=server', '--validate=strict', '-f', file]
    expect(await kubectl(...inBuilds, ...argv)).toMatch(new RegExp(`^${kind}\\.batch/\\S+ created`, 'm'))
  })

  it('manifests that are printed are such that the cluster takes them, in a namespace under the restricted standard', async () => {
    const file = join(dir, 'manifests.yaml')
    const source = 'git+https://git.example.com/app.git#main'
    const printed = await bale(
      [...(await argv(source, { registrySecret: 'registry' })), '--output', 'yaml', '--env', 'A=b'],
      { env },
    )
    expect(printed.code, printed.output).toBe(0)
    await writeFile(file, printed.stdout)
    const applied = await kubectl('apply', '--dry-run=server', '-f', file)
    expect(applied).toMatch(
      /secret\/bale-app-\S+ created \(server dry run\)\njob\.batch\/bale-app-\S+ created \(server dry run\)/,
    )
    await nothingLeft()
  })

  it('manifests with a repository build from it, with the Secrets of the namespace', async () => {
    const [host = ''] = registryAddress.split(':')
    await writeTree(join(dir, 'repositories/app'), { 'build.sh': 'echo built from git', Procfile: 'web: true\n' })
    await using git = await serveGit(join(dir, 'repositories'), host)
    await kubectl(...inBuilds, ...secretOfRegistry('registry', login.password))
    count++
    const printed = await bale(
      [...(await argv(`git+${git.url}/app.git#main`, { registrySecret: 'registry' })), '--output', 'yaml'],
      { env },
    )
    expect(printed.code, printed.output).toBe(0)
    const file = join(dir, 'git.yaml')
    await writeFile(file, printed.stdout)
    const name = /job\.batch\/(\S+)/.exec(await kubectl('apply', '-f', file))?.[1] ?? ''
    await logOf(name)
    expect(await kubectl(...inBuilds, 'logs', `job/${name}`, '-c', 'build')).toContain('built from git')
    expect(await tags(`team/app-${count - 1}`)).toEqual(['1'])
    await kubectl('delete', '-f', file)
    await kubectl(...inBuilds, 'delete', 'secret', 'registry')
    await gone()
    await nothingLeft()
  })

  it('ten builds at once end as one does', async () => {
    const apps = await Promise.all(Array.from({ length: 10 }, (_, i) => app(`echo this is build ${i}; sleep 1`)))
    const calls = []
    for (const source of apps) calls.push(await argv(source))
    const all = await Promise.all(calls.map(call => bale(call, { env })))
    for (const [i, { code, output }] of all.entries()) {
      expect(code, output).toBe(0)
      expect(output.match(/this is build \d+/g)).toEqual([`this is build ${i}`])
    }
    await nothingLeft()
  })

  it('the example of a nightly rebase gives the images that run the newest run image', async () => {
    const credentials = credentialsOf({ kind: 'password', ...login })
    const client = openRegistry({ registry: registryAddress, credentials, insecure: true })
    const at = (repository: string) =>
      registryStore(parseReference(`${registryAddress}/${repository}`), { registry: client })
    await putRunImage(at('stacks/run'), '1')
    const built = await build(await app('echo built'), {}, '--run-image', `${registryAddress}/stacks/run:1`)
    expect(built.code, built.output).toBe(0)
    const newest = await putRunImage(at('stacks/run'), '1', {
      layers: [{ '/etc/os-release': 'ID=debian' }, { '/lib/libc': 'newer' }],
    })
    const image = `${registryAddress}/team/app-${count - 1}`
    const file = join(dir, 'rebase.yaml')
    const variables = [
      ['CNB_INSECURE_REGISTRIES', registryAddress],
      ['KUBERNETES_SERVICE_HOST', kubernetes.apiAddress.host],
      ['KUBERNETES_SERVICE_PORT', kubernetes.apiAddress.port],
    ]
    const more = variables.map(([key, value]) => `                - { name: ${key}, value: '${value}' }\n`)
    const text = textOfExample('kubernetes/rebase.yaml')
      .replace('registry.example.com/bale/builder:0.1.0', `${builder}\n              imagePullPolicy: Never`)
      .replace('env:\n', `env:\n${more.join('')}`)
    await writeFile(file, text)
    try {
      await kubectl(...inBuilds, ...secretOfRegistry('registry', login.password))
      await kubectl(...inBuilds, 'create', 'deployment', 'web', '--image', `${image}:1`, '--replicas=0')
      await kubectl(...inBuilds, 'label', 'deployment', 'web', 'bale.example.com/rebase=yes')
      await kubectl(...inBuilds, 'apply', '-f', file)
      await kubectl(...inBuilds, 'create', 'job', 'now', '--from=cronjob/nightly-rebase')
      const log = await logOf('now')
      expect(log).toContain(`${image}:1 (deployment/web) is rebased: sha256:`)
      expect(log).toContain('rollout restart deployment/web')
      expect(log).not.toMatch(/warning/i)
      const rebased = await at(`team/app-${count - 1}`).pull('1', platform)
      expect(rebased?.config.rootfs.diff_ids.slice(0, 2)).toEqual(newest.config.rootfs.diff_ids)
    } finally {
      await client.close()
      await kubectl(...inBuilds, 'delete', '--ignore-not-found', '-f', file)
      await kubectl(...inBuilds, 'delete', '--ignore-not-found', 'job/now', 'deployment/web', 'secret/registry')
      await gone()
    }
    await nothingLeft()
  })

  it.each([
    ['as soon as there is a pod', 'Building in pod'],
    ['in analyze', '===> ANALYZING'],
    ['in detect', '===> DETECTING'],
    ['in restore', '===> RESTORING'],
    ['in build', 'it builds'],
    ['in export', '===> EXPORTING'],
  ])('Ctrl-C %s leaves nothing', async (_when, text) => {
    const running = await start(await app('echo it builds; sleep 4; head -c 30000000 /dev/urandom >large'))
    await said(running, text)
    running.child.kill('SIGINT')
    const ended = await running.ended
    expect(ended.code, ended.output).toBe(130)
    await nothingLeft()
  })

  // A short phase may have ended when the cluster tells of the deletion, and the next one never starts: its status is right, too.
  it.each([
    ['in source', [1, 32], 'Building in pod'],
    ['in analyze', [32, 22], '===> ANALYZING'],
    ['in detect', [22, 42], '===> DETECTING'],
    ['in restore', [42, 52], '===> RESTORING'],
    ['in build', [52], 'it builds'],
    ['in export', [62], '===> EXPORTING'],
  ])('a pod that somebody deletes %s ends the build, with its cause', async (_when, statuses, text) => {
    const running = await start(await app('echo it builds; sleep 3; head -c 400000000 /dev/urandom >large'))
    await said(running, text)
    await kubectl('-n', 'builds', 'delete', 'pods', '--all', '--wait=false')
    const ended = await running.ended
    expect(statuses, ended.output).toContain(ended.code)
    expect(ended.stderr).toMatch(/^ERROR: .*the pod was deleted[\s\S]*^Fix: build again/m)
    await nothingLeft()
  })

  it('a `bale` that is killed leaves no source in the registry, and a Job that goes by itself', async () => {
    const running = await start(await app('echo it builds; sleep 3'), { ttl: 1 })
    await said(running, 'it builds')
    running.child.kill('SIGKILL')
    await running.ended
    for (const end = Date.now() + 60_000; Date.now() < end; await new Promise(done => setTimeout(done, 500)))
      if ((await kubectl(...inBuilds, 'get', 'jobs', '-o', 'name')) === '') break
    await gone()
    await nothingLeft()
  })

  it('a wrong pull secret is said with what the registry said', async () => {
    await kubectl(...inBuilds, ...secretOfRegistry('wrong', 'wrong'))
    const settings = {
      builder: `${registryAddress}/private/builder:1`,
      imagePullSecrets: ['wrong'],
      imagePullPolicy: 'Always',
    }
    const ended = await build(await app('true'), settings)
    await kubectl('-n', 'builds', 'delete', 'secret', 'wrong')
    expect(ended.code, ended.output).toBe(1)
    expect(ended.stderr).toMatch(/^ERROR: .*builder image cannot be pulled: ErrImagePull: .*(401|authoriz)/im)
    expect(ended.stderr).toMatch(/^Fix: .*imagePullSecrets/m)
    await nothingLeft()
  })

  it('a quota is said in the cluster’s words', async () => {
    await kubectl('-n', 'builds', 'create', 'quota', 'small', '--hard=requests.memory=1Gi')
    const ended = await build(await app('true'), { resources: { requests: { memory: '2Gi' } } })
    await kubectl('-n', 'builds', 'delete', 'quota', 'small')
    expect(ended.code, ended.output).toBe(1)
    expect(ended.stderr).toMatch(/^ERROR: .*exceeded quota: small[\s\S]*^Fix: .*raise the quota/m)
    await nothingLeft()
  })

  it('too little memory is said as such', async () => {
    const ended = await build(await app('echo it builds; exec tail /dev/zero'), {}, '--memory', '300MB')
    expect(ended.code, ended.output).not.toBe(0)
    expect(ended.output).toContain('it builds')
    expect(ended.stderr).toMatch(/OOMKilled|out of memory/)
    await nothingLeft()
  })

  it('eviction is said with its cause', async () => {
    const script = 'head -c 200000000 /dev/zero >large; echo it builds; sleep 90'
    const ended = await build(await app(script), { resources: { limits: { 'ephemeral-storage': '80Mi' } } })
    expect(ended.code, ended.output).toBe(52)
    expect(ended.stderr).toMatch(/^ERROR: .*evicted on node node: .*(storage|usage)/im)
    expect(ended.stderr).toMatch(/^Fix: .*resources/m)
    await nothingLeft()
  })

  it('a build that takes longer than it may is ended', async () => {
    const ended = await build(await app('echo it builds; sleep 120'), {}, '--timeout', '20s')
    expect(ended.code, ended.output).not.toBe(0)
    expect(ended.stderr).toMatch(/took longer than 20 s/)
    await nothingLeft()
  })

  it('a namespace that is not there, and a cluster that cannot be reached, are said before anything is sent', async () => {
    const source = await app('true')
    const args = (await argv(source)).map(arg => (arg === 'kubernetes:/builds' ? 'kubernetes:/nowhere' : arg))
    const none = await bale(args, { env })
    expect(none.stderr).toMatch(/namespaces "nowhere" not found/)
    const text = await readFile(kubernetes.kubeconfig, 'utf8')
    const gone = join(dir, 'gone')
    await writeFile(gone, text.replace(/server: "https:\/\/127\.0\.0\.1:\d+"/, 'server: "https://127.0.0.1:45999"'))
    const ended = await bale(await argv(source), { env: { ...env, KUBECONFIG: gone } })
    expect(ended.stderr).toMatch(/cannot be reached: .*ECONNREFUSED[\s\S]*^Fix: .*kubectl/m)
    await nothingLeft()
  })

  it('a node that dies is given up, and nothing stays on it', async () => {
    const running = await start(await app('echo it builds; sleep 300'))
    await said(running, 'it builds')
    await kubernetes.kill('kubelet')
    const ended = await running.ended
    expect(ended.code, ended.output).toBe(52)
    expect(ended.stderr).toMatch(/^ERROR: .*the node of the pod on node node does not answer/m)
    await nothingLeft()
    await kubernetes.up()
  })
})
