// `npm run threats`: writes the test files that name each case into docs/threats.md.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
export const register = join(root, 'docs', 'threats.md')
const code = /\b[TRPDESCKXLO]\d\d\b/g

/** The codes that test files name, with these files. */
export function namedCases() {
  const named = new Map()
  for (const file of readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).sort()) {
    if (!/\.(ts|c)$/.test(file) || /^(apps|conformance|node_modules)\//.test(file) || file === 'threats.test.ts')
      continue
    for (const [found] of readFileSync(join(root, 'test', file), 'utf8').matchAll(code)) {
      const files = named.get(found) ?? named.set(found, new Set()).get(found)
      files.add(file)
    }
  }
  return named
}

/** The rows of the register: code, cells between the code and the tests, and the cell of tests. */
export function rows(text) {
  return text.split('\n').flatMap(line => {
    const cells = /^\| [TRPDESCKXLO]\d\d \|/.test(line) ? line.split(' | ') : []
    return cells.length === 0 ? [] : [{ code: cells[0].slice(2), cells, tests: cells.at(-1).replace(/ \|$/, '') }]
  })
}

/** The register with a new last column, which also marks cases without a test. */
export function withTests(text) {
  const named = namedCases()
  return text.replaceAll(/^\| ([TRPDESCKXLO]\d\d) \| .*$/gm, (line, found) => {
    const files = [...(named.get(found) ?? [])].filter(
      file => file.includes('.test.') || file.includes('cases') || file.startsWith('contracts/'),
    )
    const shown = files.map(file => file.replace(/\.ts$/, '')).join(', ')
    return `${line.split(' | ').slice(0, -1).join(' | ')} | ${shown === '' ? '**open**' : shown} |`
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = readFileSync(register, 'utf8')
  writeFileSync(register, withTests(text))
}
