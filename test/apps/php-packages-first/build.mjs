import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'

const theme = readFileSync('vendor/example/theme/theme.css', 'utf8')
const version = execFileSync('php', ['-r', 'echo PHP_MAJOR_VERSION;'], { encoding: 'utf8' })
mkdirSync('public/build/assets', { recursive: true })
writeFileSync('public/build/assets/app-Xy3_kP0q.css', `/* PHP ${version} */ ${theme}`)
