import { readFile } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from './helpers/bale.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { writeTree } from './helpers/tree.ts'

// docs/buildpacks.md, followed word for word: its files are written, and its commands run in one shell, in the order of the page.

interface Step {
  readonly language: string
  readonly content: string
  /** The file that the text before it names. */
  readonly file: string | undefined
}

function stepsOf(page: string): Step[] {
  const blocks = /([^\n]*)\n\n```([a-z-]+)\n([\s\S]*?)^```$/gm
  return [...page.matchAll(blocks)].map(([, before = '', language = '', content = '']) => {
    const names = [...before.matchAll(/`([^`\s]+\.[a-z]+|[^`\s]+\/detect)`/g)].map(([, name]) => name)
    return { language, content, file: names.at(-1) }
  })
}

/** The commands of a block, which begin where those before it ended. */
async function follow(script: string, cwd: string): Promise<{ code: number; output: string; cwd: string }> {
  const { NO_COLOR: _n, FORCE_COLOR: _f, NODE_OPTIONS: _o, ...env } = process.env
  const child = spawn('sh', ['-euc', `${script}\npwd >&3`], {
    cwd,
    env: { ...env, PATH: `${join(root, 'bin')}:${env['PATH'] ?? ''}` },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  let [output, place] = ['', '']
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => (output += text.toString()))
  child.stdio[3]?.on('data', (text: Buffer) => (place += text.toString()))
  const code = await new Promise<number>(done => child.once('close', status => done(status ?? 1)))
  return { code, output, cwd: place.trim() || cwd }
}

describe('docs/buildpacks.md', () => {
  it('makes, tests, packages and combines a buildpack, in about fifty lines', async () => {
    const base = await temporaryDirectory()
    const steps = stepsOf(await readFile(join(root, 'docs', 'buildpacks.md'), 'utf8'))
    let cwd = base
    const outputs: string[] = []
    for (const { language, content, file } of steps) {
      if (language === 'sh') {
        const done = await follow(content.replaceAll('BALE', root), cwd)
        expect(done.code, `${content}\n${done.output}`).toBe(0)
        outputs.push(done.output)
        cwd = done.cwd
        continue
      }
      expect(file, content).toBeDefined()
      const isProgram = language === 'sh-file'
      await writeTree(base, { [file as string]: isProgram ? { script: content.replace('#!/bin/sh\n', '') } : content })
    }
    expect(dirname(cwd)).toBe(base)
    const program = steps.find(({ file }) => file?.endsWith('main.ts'))?.content ?? ''
    expect(program.trim().split('\n').length).toBeLessThanOrEqual(50)
    const [made = '', tested = '', used = '', composite = '', built = ''] = outputs
    expect(made).toContain('try it: ')
    expect(tested).toContain('Passed: 1 application with acme/pages')
    expect(used).toContain('<title>Pages</title>\n<h1>Hello, <em>world</em></h1>')
    expect(composite).toContain('Passed: 1 application with acme/all')
    expect(built).toContain('of the previous image')
  })
})
