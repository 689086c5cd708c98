import { mkdirSync, writeFileSync } from 'node:fs'

mkdirSync('assets', { recursive: true })
writeFileSync('assets/site.css', '/* built by Node.js */')
