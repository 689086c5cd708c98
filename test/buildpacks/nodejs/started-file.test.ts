import { describe, expect, it } from 'vitest'
import { startedFile } from '../../../buildpacks/nodejs/started-file.ts'
import { App } from '../../../buildpacks/sdk/index.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'

describe('the file that a command starts', () => {
  it.each([
    ['node -r dotenv/config --enable-source-maps dist/main', 'dist/main.js'],
    ['node --env-file .env --import=tsx server.ts', 'server.ts'],
    ['prisma migrate deploy && NODE_ENV=production node ./server', 'server.ts'],
    ['node -p 1', undefined],
  ])('is known: %s', async (command, expected) => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'dist/main.js': '', 'server.ts': '' })
    expect(await startedFile(new App(dir), command)).toBe(expected)
  })

  it.each(['-r -a ', '--a '])('takes no time that doubles with each option: %s', { timeout: 2000 }, async option => {
    const app = new App(await temporaryDirectory())
    expect(await startedFile(app, `node ${option.repeat(26)}!`)).toBeUndefined()
  })
})
