import { mkdirSync, writeFileSync } from 'node:fs'

// Where Spring Boot's conventions have them as well: Maven packs what is there into the archive.
mkdirSync('src/main/resources/static', { recursive: true })
writeFileSync('src/main/resources/static/site.css', '/* built by Node.js */')
