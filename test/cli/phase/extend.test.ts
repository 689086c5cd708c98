import { existsSync } from 'node:fs'
import { chmod, lstat, readFile, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { BaleError } from '../../../lifecycle/errors.ts'
import { applyDockerfile } from '../../../lifecycle/cli/phase/extend/apply.ts'
import { expandWord, splitWords } from '../../../lifecycle/cli/phase/extend/words.ts'
import { parseAnalyzed } from '../../../lifecycle/spec/analyzed.ts'
import { failureOf } from '../../helpers/failure.ts'
import { supervisorProgram } from '../../helpers/supervisor.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'
import { recorder } from '../../phases/harness.ts'
import { extend, isRoot, restoredWith } from './extend-harness.ts'

// Dockerfiles are applied to the file system of the container. Here all that they write is below a temporary directory.

async function applied(body: string, { tree = {}, args = {}, user }: Options = {}) {
  const root = await temporaryDirectory()
  await chmod(root, 0o755)
  await writeTree(root, { 'context/.keep': '', ...tree })
  const reporter = recorder()
  const config = await applyDockerfile({
    text: `ARG base_image\nFROM \${base_image}\n${body.replaceAll('ROOT', root)}\n`,
    where: 'f',
    context: join(root, 'context'),
    env: { HTTP_PROXY: 'http://proxy' },
    supervisor: supervisorProgram(),
    args: new Map(Object.entries(args)),
    config: {
      Env: ['PATH=/usr/bin:/bin', 'OLD=1'],
      WorkingDir: root,
      Labels: { kept: 'yes' },
      ...(user && { User: user }),
    },
    reporter,
  })
  const path = (relative: string): string => join(root, relative)
  const printed = reporter.events.flatMap(event => (event.type === 'output' ? [event.text] : []))
  return { config, printed, path, read: (relative: string) => readFile(path(relative), 'utf8') }
}
interface Options {
  readonly tree?: Tree
  readonly args?: Readonly<Record<string, string>>
  readonly user?: string
}

describe.runIf(isRoot)('a build.Dockerfile', () => {
  it('sets variables, labels, directory, user and shell for what follows, and in the config', async () => {
    const { config, printed } = await applied(
      `ARG given=default\nARG other=fallback\nARG undeclared_default\nENV A=1 B="two words" C=$A-$OLD-\${given}-\${none}\nENV OLD_FORM a  b\n` +
        `LABEL io.buildpacks.rebasable=true x="y z"\nWORKDIR made\nRUN pwd && echo "$C/$B/$OLD_FORM/$other/$ungiven"\n` +
        `SHELL ["/bin/sh", "-eu", "-c"]\nRUN echo in $-\nRUN ["/bin/echo", "a  list", "$A"]\nUSER 54321:54321\nRUN id -u; id -g; echo $HOME`,
      { args: { given: 'G', ungiven: 'no' } },
    )
    expect(printed.slice(1)).toEqual([
      '-1-G-/two words/a  b/fallback/',
      expect.stringMatching(/^in .*e/),
      'a  list $A',
      '54321',
      '54321',
      '/',
    ])
    expect(printed[0]).toMatch(/\/made$/)
    expect(config.Env).toEqual(['PATH=/usr/bin:/bin', 'OLD=1', 'A=1', 'B=two words', 'C=-1-G-', 'OLD_FORM=a  b'])
    expect(config).toMatchObject({
      User: '54321:54321',
      Labels: { kept: 'yes', 'io.buildpacks.rebasable': 'true', x: 'y z' },
    })
    expect(config.WorkingDir).toMatch(/\/made$/)
  })

  it('takes quotes from the old form of ENV, and goes back to the top directory', async () => {
    const { config, printed } = await applied('ENV OLD_FORM "a  $OLD"\nRUN echo "$OLD_FORM"\nWORKDIR /\nRUN pwd')
    expect(printed).toEqual(['a  1', '/'])
    expect(config.Env).toContain('OLD_FORM=a  1')
    expect(config.WorkingDir).toBe('/')
  })

  it('finds programs of lists by the PATH of the Dockerfile', async () => {
    const tree: Tree = { 'tools/tool': { script: 'echo "ran $*"' } }
    const body = 'ENV PATH=ROOT/tools:$PATH\nRUN ["tool", "a"]\nSHELL ["sh", "-c"]\nRUN tool b'
    expect((await applied(body, { tree })).printed).toEqual(['ran a', 'ran b'])
  })

  it('ends where a directory cannot be made', async () => {
    for (const body of ['WORKDIR /proc/none/x', 'COPY a /proc/none/x'])
      expect(await failureOf(applied(body, { tree: { 'context/a': '' } }))).toMatchObject({ code: 'filesystem' })
  })

  it('copies files whose names are no text', async () => {
    const { path } = await applied(
      "RUN mkdir ROOT/context/d && touch ROOT/context/d/$(printf 'a\\377')\nCOPY d ROOT/out",
    )
    expect(await readdir(path('out'), { encoding: 'latin1' })).toEqual(['a\xff'])
  })

  it('sets nothing for an ARG that has no value, and ends what RUN leaves running', async () => {
    const body =
      'ARG HOME\nARG PATH\nARG v=1\nARG v\nARG u\nRUN echo "$v ${u-unset} ${#PATH} $HTTP_PROXY"; (sleep 60 & echo $! >ROOT/pid)'
    const { printed, read } = await applied(body)
    expect(printed).toEqual([`1 unset ${'/usr/bin:/bin'.length} http://proxy`])
    const pid = Number(await read('pid'))
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  it('runs as the user of the image until it says otherwise', async () => {
    expect((await applied('RUN id -u\nUSER root\nRUN id -u', { user: '1000' })).printed).toEqual(['1000', '0'])
  })

  it('copies from the context, and from nowhere else', async () => {
    const tree: Tree = {
      'context/a': 'A',
      'context/dir/b': { script: 'exit 0' },
      'context/dir/sub/c': 'C',
      secret: 'S',
      'there/kept': 'K',
    }
    const { read, path } = await applied(
      'COPY a ROOT/out/renamed\nCOPY a dir ROOT/out/into/\nADD --chown=1000:1000 --chmod=640 a ROOT/there\nCOPY ["dir/sub", "ROOT/out/list"]',
      { tree },
    )
    expect(
      await Promise.all(
        ['out/renamed', 'out/into/a', 'out/into/b', 'out/into/sub/c', 'there/a', 'out/list/c'].map(read),
      ),
    ).toEqual(['A', 'A', expect.stringContaining('exit 0'), 'C', 'A', 'C'])
    const own = await lstat(path('there/a'))
    expect([own.uid, own.gid, own.mode & 0o777]).toEqual([1000, 1000, 0o640])
    expect((await lstat(path('there/kept'))).uid).toBe(0)
    expect((await lstat(path('out/into/b'))).mode & 0o111).not.toBe(0)
    const refused = async (body: string) =>
      ((await failureOf(applied(body, { tree: { ...tree, ...links } }))) as BaleError).message
    const links: Tree = {
      'context/out': { link: '/etc' },
      'context/in': { link: 'a' },
      'context/tree/link': { link: '/etc/shadow' },
    }
    expect(await refused('COPY ../secret ROOT/x')).toContain('is not in the context')
    expect(await refused('COPY out/passwd ROOT/x')).toContain('is outside the context')
    expect(await refused('COPY out ROOT/x')).toContain('is outside the context')
    // The source that is named is what it leads to. Links below it stay links.
    const followed = await applied('COPY in ROOT/x/\nCOPY tree ROOT/tree', { tree: { ...tree, ...links } })
    expect((await lstat(followed.path('x/in'))).isFile()).toBe(true)
    expect(await readlink(followed.path('tree/link'))).toBe('/etc/shadow')
    // Into a directory by way of a link to it, and in the form of a list, with variables and options.
    const into = await applied(
      'RUN ln -s there ROOT/way\nARG d=way\nCOPY dir ROOT/way\nCOPY --chown=7 ["a", "ROOT/$d/"]',
      { tree },
    )
    expect(await Promise.all(['there/b', 'there/sub/c', 'there/a'].map(into.read))).toEqual([
      expect.stringContaining('exit 0'),
      'C',
      'A',
    ])
    const { uid, gid } = await lstat(into.path('there/a'))
    expect([uid, gid]).toEqual([7, 7])
  })

  it('keeps directories that are there, and puts files in the place of files and links', async () => {
    const tree: Tree = { 'context/dir/file': 'new', 'context/dir/sub/x': 'X', 'there/file': 'old', 'there/own/y': 'Y' }
    const { path, read } = await applied(
      `RUN chown 1000:1000 ROOT/there && chmod 700 ROOT/there && ln -sf /etc/hostname ROOT/there/link && chmod 4755 ROOT/context/dir/file
COPY dir ROOT/there
COPY dir/file ROOT/there/link`,
      { tree },
    )
    const there = await lstat(path('there'))
    expect([there.uid, there.mode & 0o777]).toEqual([1000, 0o700])
    expect(await Promise.all(['there/file', 'there/own/y', 'there/sub/x', 'there/link'].map(read))).toEqual([
      'new',
      'Y',
      'X',
      'new',
    ])
    expect((await lstat(path('there/link'))).isFile()).toBe(true)
    expect((await lstat(path('there/file'))).mode & 0o7777).toBe(0o4755)
    const inTheWay = (await failureOf(
      applied('COPY dir/file ROOT/there/own', { tree: { ...tree, 'there/own/file/z': '' } }),
    )) as BaleError
    expect(inTheWay.message).toMatch(/own\/file is a directory/)
  })

  it.each([
    ['RUN exit 3', 'RUN ended with 3: exit 3'],
    ['RUN --mount=type=cache,target=/x true', 'options of RUN are not supported'],
    ['RUN <<EOF\ntrue\nEOF', 'here-documents are not supported'],
    ['COPY <<EOF ROOT/x\ntrue\nEOF', 'here-documents are not supported'],
    ['ENV A="b', 'a quote has no end'],
    ['RUN ["not-there"]', 'not-there is not in any directory of PATH'],
    ["USER ''", 'USER names nobody'],
    ['RUN touch ROOT/x\nCOPY . ROOT/x', 'x is not a directory, but a directory would replace it'],
    ['COPY --from=other a b', '--from of COPY is not supported'],
    ['COPY *.txt ROOT/x', '*.txt is a pattern'],
    ['ADD https://example.com/x ROOT/x', 'ADD of https://example.com/x is not supported'],
    ['ADD a.tar.gz ROOT/x', 'ADD of a.tar.gz is not supported'],
    ['COPY a', 'COPY needs a source and a destination'],
    ['ENV =x', 'ENV needs NAME=value'],
    ['SHELL bash', 'SHELL needs a list'],
    ['RUNN true', 'RUNN is not an instruction'],
    ['ENV A=${b', '${b is not supported'],
    ['USER nobody-there\nRUN true', 'has no user'],
  ])('fails with the place: %j', async (body, message) => {
    const failed = (await failureOf(applied(body, { tree: { 'context/a': '' } }))) as BaleError
    expect(failed.message).toContain(message)
    if (!body.startsWith('USER nobody')) expect(failed.where).toBe(body.startsWith('RUN touch') ? 'f:4' : 'f:3')
  })
})

describe('words of an instruction', () => {
  const variables = new Map([
    ['x', 'X'],
    ['empty', ''],
  ])
  it.each([
    ['a="b $x" d', ['a=b X', 'd']],
    ['\'$x\' "$x" \\$x a\\ b', ['$x', 'X', '$x', 'a b']],
    ['"a\\nb \\u \\"q\\" \\\\$x"', ['a\\nb \\u "q" \\X']],
    ['"" $none ${none}', ['', '', '']],
    ['/y${x:+:$x} /y${none:+:$none} ${empty-d} ${empty:-d} ${none-${x}} 5$', ['/y:X', '/y', '', 'd', 'X', '5$']],
  ])('%j', (text, words) => expect(splitWords(text)?.map(word => expandWord(word, variables))).toEqual(words))
  it('that cannot be understood', () => expect(expandWord(splitWords('${x')?.[0] ?? [], variables)).toBeUndefined())
})

describe.runIf(isRoot)('extender', () => {
  const dockerfile = `ARG base_image
FROM \${base_image}
ARG tool
ARG user_id
ARG group_id
USER root
COPY file ROOT/copied
RUN echo "$tool $(id -u)" >ROOT/installed
ENV PATH=/opt/tool/bin:$PATH
USER \${user_id}:\${group_id}
`

  const restored = () =>
    restoredWith({
      'build.Dockerfile': dockerfile,
      'extend-config.toml': '[[build.args]]\nname = "tool"\nvalue = "make"\n',
      'context.build/file': 'of the context',
    })

  it('applies the Dockerfiles as root to the build image, and builds as its user with what they set', async () => {
    const { m, buildImage } = await restored()
    const { buildImage: found } = parseAnalyzed(await m.read('layers/analyzed.toml'), '')
    expect(found?.reference).toMatch(new RegExp(`^${buildImage}@sha256:`))
    const { status, said } = await extend(m)
    expect(status, said).toBe(0)
    expect(said).toContain('Applying build.Dockerfile of a/tool@1.0.0')
    expect([await m.read('installed'), await m.read('copied')]).toEqual(['make 0\n', 'of the context'])
    expect((await lstat(m.path('copied'))).uid).toBe(0)
    expect(said).toMatch(/^ran builder as 1000$/m)
    expect(said).toMatch(/^PATH=\/opt\/tool\/bin:\/usr\/bin:\/bin$/m)
    expect(said).toMatch(/^BALE_EXTENDED=build$/m)
    expect(said).not.toContain('CNB_REGISTRY_AUTH')
    // Without it builder would go on without what the Dockerfiles install.
    const alone = await m.run('builder')
    expect([alone.status, alone.said]).toEqual([1, expect.stringContaining('run extender as root instead of builder')])
    expect((await m.run('builder', [], { BALE_EXTENDED: 'build' })).status).toBe(0)
  })

  it('reads what all extensions have made before anything runs, and needs nothing where there is nothing to apply', async () => {
    const { m } = await restored()
    const poison = String.raw`ARG base_image\nFROM \044{base_image}\nUSER root\nRUN touch ${m.path('poisoned')}\n`
    const build = m.path('layers/generated/a_tool/build.Dockerfile')
    await writeFile(
      build,
      `${await readFile(build, 'utf8')}USER 1000\nRUN printf '${poison}' >${m.path('layers/generated/b/build.Dockerfile')}\n`,
    )
    await writeTree(m.root, { 'layers/generated/b/build.Dockerfile': 'ARG base_image\nFROM ${base_image}\n' })
    await chmod(m.path('layers/generated/b/build.Dockerfile'), 0o666)
    const group = m.path('layers/group.toml')
    await writeFile(
      group,
      `${await readFile(group, 'utf8')}\n[[group-extensions]]\nid = "b"\nversion = "1.0.0"\napi = "0.10"\n`,
    )
    const { status, said } = await extend(m)
    expect(status, said).toBe(0)
    expect(await readFile(m.path('layers/generated/b/build.Dockerfile'), 'utf8')).toContain('poisoned')
    expect(existsSync(m.path('poisoned'))).toBe(false)
    await rm(m.path('layers/generated'), { recursive: true })
    await rm(m.path('kaniko'), { recursive: true })
    const nothing = await extend(m)
    expect(nothing.status, nothing.said).toBe(0)
    expect(nothing.said).toContain('ran builder as 1000')
  })

  it('passes on what Dockerfiles set, not what the image or they say of the platform', async () => {
    const { m } = await restored()
    const build = m.path('layers/generated/a_tool/build.Dockerfile')
    await writeFile(build, `${await readFile(build, 'utf8')}ENV CNB_PLATFORM_API=0.7 LD_LIBRARY_PATH=/opt/lib\n`)
    await writeFile(build, `${await readFile(build, 'utf8')}RUN echo "RUN has $TRUSTED, and $BALE_RUN_TRUSTED"\n`)
    const { said } = await extend(m, [], 0, { CNB_REGISTRY_AUTH: '{}', BALE_RUN_TRUSTED: '/bundle' })
    expect(said).toContain('RUN has /bundle, and \n')
    expect(said).toMatch(/^LD_LIBRARY_PATH=\/opt\/lib$/m)
    expect(said).toMatch(/^CNB_PLATFORM_API=0.15$/m)
    expect(said).toContain('start extender without CNB_REGISTRY_AUTH')
  })

  it.each([
    ['an ordinary user', [], 1000, {}, 'extender must run as root'],
    ['root as the buildpacks’ user', ['-uid', '0'], 0, {}, 'extender must run as root'],
    ['an ordinary user, for the run image', ['-kind', 'run'], 1000, {}, 'extender must run as root'],
  ] as const)('refuses %s', async (_what, args, uid, env, message) => {
    const { m } = await restored()
    const { status, said } = await extend(m, args, uid, env)
    expect([status, said]).toEqual([102, expect.stringContaining(message)])
    expect(existsSync(m.path('installed'))).toBe(false)
  })

  it('says what restorer has not left, and a config that was changed', async () => {
    const { m } = await restored()
    const base = m.path('kaniko/cache/base')
    const [digest = ''] = await readdir(base)
    const blobs = join(base, digest, 'blobs/sha256')
    for (const blob of await readdir(blobs)) if (!digest.endsWith(blob)) await writeFile(join(blobs, blob), '{}')
    expect(await extend(m)).toEqual({ status: 102, said: expect.stringMatching(/blobs|digest/) as string })
    await rm(base, { recursive: true })
    expect(await extend(m)).toEqual({
      status: 102,
      said: expect.stringContaining('run restorer with the same /kaniko') as string,
    })
  })
})
