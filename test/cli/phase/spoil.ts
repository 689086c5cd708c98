import { execFileSync } from 'node:child_process'
import { mkdir, rm, symlink, truncate, writeFile } from 'node:fs/promises'

/** What is planted where it must not come out. */
export const secret = 'hunter2'

type Spoil = (path: string) => Promise<unknown>

const write =
  (content: string | Uint8Array): Spoil =>
  path =>
    writeFile(path, content)

const instead =
  (make: Spoil): Spoil =>
  async path => {
    await rm(path)
    await make(path)
  }

/**
 * Group P of the hostile inputs: what makes a document that must be refused of one that holds `text`.
 * @param wrong the document with a key of the wrong type
 */
export function unreadable(text: string, wrong: string): readonly (readonly [string, Spoil])[] {
  return [
    ['P01 1 GB', path => truncate(path, 2 ** 30)],
    ['P02 1 million deep', write(`x = ${'['.repeat(1_000_000)}`)],
    ['P03 a wrong type', write(wrong)],
    ['P06 a key twice', write(`x = 1\nx = 2\n${text}`)],
    ['P07 an integer above 2^53', write(`x = 9007199254740993\n${text}`)],
    ['P07 1e400', write(`x = 1e400\n${text}`)],
    ['P08 invalid UTF-8', write(Buffer.from([0x78, 0x20, 0x3d, 0x20, 0x22, 0xff, 0x22]))],
    ['P08 NUL', write(`x = "\0"\n${text}`)],
    ['P10 truncated', write(`${text}\n[[`)],
    ['P10 a directory', instead(path => mkdir(path))],
    ['P11 a fifo', instead(path => Promise.resolve(execFileSync('mkfifo', [path])))],
    [
      'P12 a link to a secret',
      instead(async path => {
        await writeFile(`${path}.secret`, `token: ${secret}\n`)
        await symlink(`${path}.secret`, path)
      }),
    ],
  ]
}

/** What a document may look like and mean the same. */
export function readable(text: string): readonly (readonly [string, string])[] {
  return [
    ['P04 unknown keys', `unknown = 1\n${text}\n[new-table]\nx = 1\n`],
    [
      'P05 __proto__ and constructor',
      `__proto__ = { polluted = 1 }\nconstructor = { prototype = { polluted = 1 } }\n${text}`,
    ],
    ['P08 a byte order mark', `\ufeff${text}`],
    ['P09 dates, inf and nan', `a = 1979-05-27\nb = inf\nc = nan\n${text}`],
  ]
}
