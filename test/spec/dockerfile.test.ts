import { describe, expect, it } from 'vitest'
import {
  checkBuildDockerfile,
  expandVariables,
  parseDockerfile,
  readRunDockerfile,
} from '../../lifecycle/spec/dockerfile.ts'
import { failure } from './failure.ts'

const base = 'ARG base_image\nFROM ${base_image}\n'

describe('Dockerfiles of image extensions', () => {
  it('are instructions, with continued lines joined and comments left out', () => {
    const text = '# a comment\nfrom a\r\n\nRUN one && \\\n  # between\n\n  two\nENV A="b c"\n'
    expect(parseDockerfile(text, 'f')).toMatchObject([
      { name: 'FROM', value: 'a', line: 2 },
      { name: 'RUN', value: 'one &&   two', line: 4 },
      { name: 'ENV', value: 'A="b c"', line: 8 },
    ])
    expect(parseDockerfile('# escape=`\nRUN a `\n b \\\n', 'f')).toMatchObject([
      { name: 'RUN', value: 'a  b \\', line: 2 },
    ])
    expect(parseDockerfile('ENV A=a\\\\\nUSER b\n', 'f').map(({ name }) => name)).toEqual(['ENV', 'USER'])
    const documents = 'RUN <<EOF cat 3<<-"X"\nFROM a\nEOF\nFROM b\n\tX\nRUN echo "a <<b" && cat <<<c\nUSER d\n'
    expect(parseDockerfile(documents, 'f').map(({ name, line }) => `${name} ${line}`)).toEqual([
      'RUN 1',
      'RUN 6',
      'USER 7',
    ])
    expect(failure(() => parseDockerfile('FROM a\nRUN <<EOF\nx\n', 'f'))).toBe(
      'f:2: the here-document EOF is not closed',
    )
    expect(failure(() => parseDockerfile('FROM a\n&&\n', 'f'))).toBe('f:2: it is not an instruction')
  })

  it('may use variables', () => {
    const variables = new Map([
      ['a', '1'],
      ['empty', ''],
    ])
    expect(expandVariables('$a ${a} ${b:-x} ${b-w} ${a:+y} ${empty:-z} \\$a', variables)).toBe('1 1 x w y z $a')
    expect(expandVariables('${b:-${a}} ${empty-d} ${a:+:$a} a$', variables)).toBe('1  :1 a$')
    for (const text of ['$b', '${b}', '${b', '${']) expect(expandVariables(text, variables), text).toBeUndefined()
  })

  it.each([
    [base, { image: undefined, extends: false, unusual: [] }],
    [
      'ARG base_image=x\nFROM $base_image AS run\nRUN a\nEXPOSE 1',
      { image: undefined, extends: true, unusual: ['EXPOSE'] },
    ],
    ['FROM r.io/run:2', { image: 'r.io/run:2', extends: false, unusual: [] }],
    ['ARG base_image\nFROM "${base_image}"', { image: undefined, extends: false, unusual: [] }],
    ['ARG v=1 name="r.io/run"\nFROM ${name}:${v}', { image: 'r.io/run:1', extends: false, unusual: [] }],
    ['ARG v=2\nFROM --platform=x r.io/run:${v}\nUSER root', { image: 'r.io/run:2', extends: true, unusual: [] }],
  ])('for the run image, select one or extend it: %j', (text, expected) => {
    expect(readRunDockerfile(text, 'f')).toMatchObject(expected)
  })

  it.each([
    ['RUN a', 'f:1: it has no FROM; begin with ARG base_image and FROM ${base_image}'],
    ['FROM a\nFROM b', 'f:2: it has a second FROM; a Dockerfile of an image extension may have only one stage'],
    ['RUN a\nFROM b', 'f:1: RUN comes before FROM'],
    ['FROM ${nothing}', 'f:1: FROM ${nothing} does not name an image; give each variable a default: ARG name=value'],
    ['ARG tag\nFROM a:$tag', 'f:2: FROM a:$tag does not name an image; give each variable a default: ARG name=value'],
    [
      'FROM --platform linux/amd64 a',
      'f:1: FROM --platform linux/amd64 a is not supported; write FROM [--platform=…] IMAGE [AS NAME]',
    ],
  ])('for the run image, are refused: %j', (text, message) => {
    expect(failure(() => readRunDockerfile(text, 'f'))).toBe(message)
  })

  it('for the build image, begin with it', () => {
    expect(checkBuildDockerfile(`${base}RUN a\nCMD b\nCMD c`, 'f')).toEqual(['CMD'])
    for (const text of [
      'FROM ${base_image}',
      'ARG base_image\nFROM other',
      'ARG a\nARG base_image\nFROM ${base_image}',
    ])
      expect(failure(() => checkBuildDockerfile(text, 'f'))).toContain('it does not begin with ARG base_image')
  })
})
