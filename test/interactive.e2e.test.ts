import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bale, baleProgram, digestIn } from './helpers/bale.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { type Tree, writeTree } from './helpers/tree.ts'

/** What `bale` prints in a pseudo-terminal of its own, into which lines are typed once the shell asks for them. */
async function onTerminal(args: readonly string[], typed: string): Promise<{ code: number; output: string }> {
  const command = [baleProgram, ...args].map(word => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
  const child = spawn('script', ['-qec', `stty -echo; exec ${command}`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NO_COLOR: '1', TERM: 'dumb', SHELL: '/bin/bash' },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const before = output.includes('(sandbox)')
    output += text
    if (!before && output.includes('(sandbox)')) child.stdin.write(typed)
  })
  const [code] = (await once(child, 'close')) as [number]
  return { code, output: output.replaceAll('\r', '') }
}

const buildpack = (name: string, build: string, detect = 'exit 0'): Tree => ({
  [`${name}/buildpack.toml`]: `api = "0.11"\n[buildpack]\nid = "test/${name}"\nversion = "1.0.0"\n[[targets]]\nos = "linux"\n`,
  [`${name}/bin/detect`]: { script: detect },
  [`${name}/bin/build`]: { script: build },
})

async function project() {
  const dir = await temporaryDirectory()
  await writeTree(dir, {
    'app/file': 'of the app',
    ...buildpack(
      'tools',
      `mkdir -p "$1/kit/bin" "$1/kit/env.build"
printf '[types]\\nbuild = true\\n' > "$1/kit.toml"
printf "it's of the first" > "$1/kit/env.build/OF_FIRST"
printf '#!/bin/sh\\necho the tool ran\\n' > "$1/kit/bin/tool"; chmod +x "$1/kit/bin/tool"`,
    ),
    ...buildpack('fails', 'echo left > left; exit 7'),
    ...buildpack('breaks', 'exit 0', 'exit 3'),
    ...buildpack('works', 'exit 0'),
  })
  const flags = (...names: string[]) => names.flatMap(name => ['--buildpack', join(dir, name)])
  return (...names: string[]) => ['build', 'bale-test-interactive', '--path', join(dir, 'app'), ...flags(...names)]
}

describe('bale build --interactive', () => {
  it('ends a failed build with a shell that has the files and the variables of the buildpack that failed', async () => {
    const build = await project()
    const typed = `echo "[$OF_FIRST|$GIVEN|$CNB_BUILDPACK_DIR]"; tool; pwd; cat left file; echo; id -u
touch /etc/x 2>/dev/null || echo the root is read-only
exit 5
`
    const args = [...build('tools', 'fails'), '--interactive', '--env', 'GIVEN=by the user']
    const { code, output } = await onTerminal(args, typed)
    expect(output).toContain('bin/build exited with status 7')
    expect(output).toContain('a shell in the sandbox of build')
    expect(output).toContain(
      "[it's of the first|by the user|/cnb/buildpacks/test_fails/1.0.0]\nthe tool ran\n/workspace\nleft\nof the app\n1000\n",
    )
    expect(output).toContain('the root is read-only\n')
    expect(code).toBe(51)
  })

  it('does so for detection, and for nothing else', async () => {
    const build = await project()
    const broken = await onTerminal([...build('breaks'), '--interactive'], 'echo "in $CNB_BUILDPACK_DIR"; exit\n')
    expect(broken.output).toContain('a shell in the sandbox of detect')
    expect(broken.output).toContain('in /cnb/buildpacks/test_breaks/1.0.0\n')
    expect(broken.code).toBe(21)
    const good = await onTerminal([...build('works'), '--interactive'], '')
    expect([good.code, good.output.includes('(sandbox)')]).toEqual([0, false])
    const digest = digestIn(await bale([...build('works'), '--quiet']))
    expect(good.output).toContain(`Digest: ${digest}`)
  })

  it('is refused without a terminal, before anything is built', async () => {
    const build = await project()
    const { code, output } = await bale([...build('fails'), '--interactive'])
    expect([code, output]).toEqual([2, expect.stringContaining('--interactive: a shell needs a terminal')])
    expect(output).not.toContain('ANALYZING')
  })
})
