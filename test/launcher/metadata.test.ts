/** platform.md#metadatatoml-toml: any TOML that a writer could make of it. */
import { expect, it } from 'vitest'
import { describeLauncher, isOneErrorLine } from './harness.ts'

const path = '/layers/config/metadata.toml'
const web = (lines: string): string => `[[processes]]\ntype = "web"\ncommand = "show"\ndirect = true\n${lines}\n`

describeLauncher('metadata.toml: well-formed', run => {
  for (const [title, toml, expected] of [
    ['a command as a string', web('args = []'), ['show']],
    [
      'an array over lines, with comments and a last comma',
      web('args = [ # one\n  "a",\n\n  # two\n  "b" , # three\n]'),
      ['show', 'a', 'b'],
    ],
    ['literal strings', web("args = ['a\\n\"', '']"), ['show', 'a\\n"', '']],
    [
      'escapes',
      web('args = ["\\b\\t\\n\\f\\r\\"\\\\\\u00E9\\U0001F600\\e\\x41"]'),
      ['show', '\b\t\n\f\r"\\é\u{1F600}\x1bA'],
    ],
    [
      'several lines',
      web('args = ["""\na\\\n   \n  b""c\n""", """""" , """"q""""", \'\'\'\nx\n\'\'\']'),
      ['show', 'ab""c\n', '', '"q""', 'x\n'],
    ],
    ['CRLF', web('args = ["a",\r\n"b"]\r').replaceAll('direct = true\n', 'direct = true\r\n'), ['show', 'a', 'b']],
    ['inline tables', 'processes = [ { type = "web", command = ["show", "x"], direct = true } ]', ['show', 'x']],
    [
      'inline tables over lines',
      'processes = [ {\n type = "web", # c\n command = ["show"],\n direct = true,\n} ]',
      ['show'],
    ],
    ['quoted keys', '[["processes"]]\n"type" = "web"\n\'command\' = ["show"]\n"dir\\u0065ct" = true', ['show']],
    ['spaces in odd places', '  [[ processes ]]  # c\n\ttype="web"\n  command  =[ "show" ]\ndirect\t=\ttrue', ['show']],
    ['a byte order mark', `\ufeff${web('')}`, ['show']],
    ['no newline at the end', web('').trimEnd(), ['show']],
    ['Unicode as it is', web('args = ["é\u{1F600}\u2028"]'), ['show', 'é\u{1F600}\u2028']],
    [
      'unknown keys of every type',
      `title = "x"\n[a.b."c.d"]\ne.f = 1\ne.g.h = [[1, 2], ["x", {y = 1}]]\n[[bom]]\nn = -0\n[[bom.sub]]\nx = 1\n[[bom.sub]]\nx = 2\n[bom.t]\n` +
        'i = [0, +1, -17, 1_000, 0xdead_BEEF, 0o755, 0b11, 9007199254740993]\nf = [1.0, -0.01, 5e+22, 6.6E-34, inf, -inf, +nan, 1e400]\n' +
        'd = [1979-05-27T07:32:00Z, 1979-05-27 07:32:00.5+01:00, 1979-05-27T07:32:00, 1979-05-27, 07:32:00, 07:32:00.99]\n' +
        `b = [true, false]\n${web('1234 = "x"\n-_ = 1')}\n[processes.metadata]\nx = 1\n[z]\n[a]\n[a.b.x]`,
      ['show'],
    ],
    ['the tables of other writers', `[a]\nb.c = 1\nb.d.e = 2\n[a.b.f]\ng = 1\n${web('')}`, ['show']],
    ['64 levels', `x = ${'['.repeat(63)}${']'.repeat(63)}\n${web('')}`, ['show']],
  ] as const)
    it(title, async () => {
      const { app, code, stderr } = await run({ [path]: toml })
      expect([stderr, code, app.argv]).toEqual(['', 0, expected])
    })
})

describeLauncher('metadata.toml: refused with 82, by line', run => {
  const deep = 100_000
  for (const [title, toml, line, what] of [
    ['no value', 'a =', 1, 'expected a value'],
    ['a bare word', '\na = b', 2, 'expected a value'],
    ['no equals sign', 'a', 1, 'expected = after the key'],
    ['no key', '= 1', 1, 'expected a key'],
    ['two on a line', 'a = 1 b = 2', 1, 'expected the end of the line'],
    ['a string without an end', 'a = "b', 1, 'a string does not end'],
    ['a string over two lines', 'a = "b\nc"', 1, 'a string does not end'],
    ['several lines without an end', 'a = """\nb\n', 3, 'a string does not end'],
    ['a bad escape', 'a = "\\q"', 1, 'bad escape'],
    ['a surrogate', 'a = "\\uD800"', 1, 'bad escape'],
    ['past Unicode', 'a = "\\U00110000"', 1, 'bad escape'],
    ['half an escape', 'a = "\\u00', 1, 'bad escape'],
    ['an array without an end', 'a = [1,\n2', 2, 'expected , or ] in an array'],
    ['an array without a comma', 'a = [1 2]', 1, 'expected , or ] in an array'],
    ['an inline table without an end', 'a = {b = 1', 1, 'expected , or } in an inline table'],
    ['a table name without an end', '[a', 1, 'expected ] after the table name'],
    ['an array of tables half closed', '[[a]', 1, 'expected ] after the table name'],
    ['P06 a key twice', 'a = 1\na = 2', 2, 'a key is defined twice'],
    ['P06 a table twice', '[a]\n[b]\n[a]', 3, 'a table is defined twice'],
    ['P06 a value as a table', 'a = 1\n[a.b]', 2, 'a key is defined twice'],
    ['P06 an inline table extended', 'a = {}\n[a.b]', 2, 'a key is defined twice'],
    ['P06 an array extended', 'a = []\n[[a]]', 2, 'a key is defined twice'],
    ['P06 a table of dotted keys defined again', '[x]\na.b = 1\n[x.a]', 3, 'a table is defined twice'],
    ['P06 dotted keys into a table of a header', '[x.a]\n[x]\na.b = 1', 3, 'a key is defined twice'],
    ['a number with a leading zero', 'a = 01', 1, 'expected a value'],
    ['a number with two underscores', 'a = 1__0', 1, 'expected a value'],
    ['a signed hexadecimal', 'a = +0x1', 1, 'expected a value'],
    ['a point without digits', 'a = 1.', 1, 'expected a value'],
    ['half a date', 'a = 1979-05-', 1, 'expected a value'],
    ['P08 invalid UTF-8', Buffer.from('a = 1\nb = "\xff"', 'latin1'), 2, 'not UTF-8'],
    ['P08 NUL', 'a = "\0"', 1, 'control character in a string'],
    ['P08 NUL in a comment', '# \0', 1, 'control character in a comment'],
    ['a bare carriage return', 'a = 1\rb = 2', 1, 'expected the end of the line'],
    ['L01 deep arrays', `\na = ${'['.repeat(deep)}`, 2, 'nested too deeply'],
    ['L01 deep inline tables', `a = ${'{a='.repeat(deep)}`, 1, 'nested too deeply'],
    ['L01 deep keys', `a${'.a'.repeat(deep)} = 1`, 1, 'nested too deeply'],
    ['L01 deep tables', `[a${'.a'.repeat(deep)}]`, 1, 'nested too deeply'],
    ['L01 two million values', `a = [${'1,'.repeat(2 << 20)}]`, 1, 'too many values'],
    ['L01 truncated', web('args = ["x"').slice(0, -1), 5, 'expected , or ] in an array'],
    ['P03 processes is not an array', 'processes = 1', 1, 'processes must be an array of tables'],
    ['P03 processes holds a string', 'processes = [\n"x"]', 2, 'processes must be an array of tables'],
    ['P03 processes is a table', '[processes]', 1, 'processes must be an array of tables'],
    ['P03 buildpacks is not an array', 'buildpacks = {}', 1, 'buildpacks must be an array of tables'],
    ['P03 type is not a string', '[[processes]]\ntype = 1', 2, 'processes.type must be a string'],
    ['no type', '[[processes]]', 1, 'a process has no type'],
    [
      'P03 command is not a string',
      web('').replace('"show"', '1'),
      3,
      'processes.command must be a string or an array of strings',
    ],
    [
      'P03 command holds a number',
      web('').replace('"show"', '["a",\n 1]'),
      4,
      'processes.command must be a string or an array of strings',
    ],
    ['P03 args is not an array', web('args = "x"'), 5, 'processes.args must be an array of strings'],
    ['P03 direct is not a boolean', web('').replace('true', '"true"'), 4, 'processes.direct must be true or false'],
    ['P03 working-dir is not a string', web('working-dir = []'), 5, 'processes.working-dir must be a string'],
    ['P03 buildpack-id is not a string', web('buildpack-id = 1'), 5, 'processes.buildpack-id must be a string'],
    ['P03 exec-env is not an array', web('exec-env = "*"'), 5, 'processes.exec-env must be an array of strings'],
    ['an argument with NUL', web('args = ["a\\u0000"]'), 5, 'a string holds a NUL character'],
    ['no id', '[[buildpacks]]\napi = "0.9"', 1, 'a buildpack has no id'],
    ['D01 id ..', '[[buildpacks]]\nid = ".."\napi = "0.9"', 1, 'buildpacks.id may not be . or ..'],
    ['P12 a secret', 'password hunter2', 1, 'expected = after the key'],
  ] as const)
    it(title, async () => {
      const { code, stderr } = await run({ [path]: toml })
      expect([code, stderr]).toEqual([82, expect.stringContaining(`ERROR: ${path}:${line}: ${what}`)])
      expect(isOneErrorLine(stderr)).toBe(true)
      expect(stderr).not.toContain('hunter2')
    })

  it('200,000 keys in one table take linear time', async () => {
    const keys = Array.from({ length: 200_000 }, (_, i) => `k${i}=1`).join('\n')
    expect((await run({ [path]: `${keys}\n${web('')}` }, { deadline: 8_000 })).code).toBe(0)
  })
})
