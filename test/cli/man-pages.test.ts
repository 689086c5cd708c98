import { spawnSync } from 'node:child_process'
import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { writeManPages } from '../../lifecycle/cli/man-pages.ts'
import { makeProgram } from '../../lifecycle/cli/program.ts'

const pages = new Map(writeManPages(makeProgram(() => Promise.resolve())).map(({ file, text }) => [file, text]))

/** A page as man(1) shows it where groff is there, else its source. */
function shown(text: string): string {
  const { status, stdout } = spawnSync('groff', ['-man', '-Tascii', '-P-cbou', '-rLL=200n'], {
    input: text,
    encoding: 'utf8',
  })
  return status === 0
    ? stdout
    : text.replaceAll('\\-', '-').replaceAll('\\(dq', '"').replaceAll('\\&', '').replaceAll('\\e', '\\')
}

describe('man pages', () => {
  it('are there for every command, each with a summary', () => {
    expect([...pages.keys()]).toEqual(
      expect.arrayContaining(['bale.1', 'bale-build.1', 'bale-image-ls.1', 'bale-config-registry-mirrors-add.1']),
    )
    for (const [file, text] of pages) expect(text, file).toMatch(/^\.SH NAME\nbale\S* \\- \S/m)
  })

  it('have every option of the help, the arguments and the examples', () => {
    const walk = (command: Command, words: readonly string[]): void => {
      const page = shown(pages.get(`${words.join('-')}.1`) ?? '')
      for (const { flags, hidden } of command.options)
        if (!hidden) expect(page, words.join(' ')).toContain(flags.replaceAll('…', '...'))
      for (const child of command.commands) walk(child, [...words, child.name()])
    }
    walk(
      makeProgram(() => Promise.resolve()),
      ['bale'],
    )
    const build = shown(pages.get('bale-build.1') ?? '')
    expect(build).toContain('$ bale build oci:out:latest --network none')
    expect(build).toContain('EXAMPLES')
    expect(build).toContain('bale build [options] [image]')
  })

  it('show text that looks like roff as it is', () => {
    const program = new Command('odd')
      .description(".SH is no request, nor is 'this, and \\fB is not a font. More.")
      .option('--path <a\\b>', '.dot "quoted"\n.TH x')
    const [page] = writeManPages(program)
    const text = shown(page?.text ?? '')
    expect(text).toContain(".SH is no request, nor is 'this, and \\fB is not a font.")
    expect(text).toContain('--path <a\\b>')
    expect(text).toMatch(/\.dot "quoted"\s+\.TH x/)
  })
})
