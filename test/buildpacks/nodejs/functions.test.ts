import { describe, expect, it } from 'vitest'
import { functionStart } from '../../../buildpacks/nodejs/frameworks/functions.ts'
import { noPackageJson, readPackageJson } from '../../../buildpacks/nodejs/package-json.ts'
import { App } from '../../../buildpacks/sdk/index.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'

const framework = { '@google-cloud/functions-framework': '^5.0.0' }

async function startOf(files: Tree, env: Record<string, string> = {}, json: object = { dependencies: framework }) {
  const dir = await temporaryDirectory()
  await writeTree(dir, { 'package.json': JSON.stringify(json), ...files })
  const app = new App(dir)
  return functionStart(app, env, (await readPackageJson(app)) ?? noPackageJson)
}

describe('a function of Google’s Functions Framework', () => {
  it('is the only one that the main file registers', async () => {
    const file = "functions.http('greet', (request, response) => response.send('x'))"
    expect(await startOf({ 'index.js': file })).toEqual({
      command: 'functions-framework --target=greet',
      why: 'index.js registers the function greet',
    })
    const json = { main: 'lib/event', dependencies: framework }
    expect((await startOf({ 'lib/event.js': 'functions.cloudEvent("on", e => e)' }, {}, json))?.command).toBe(
      'functions-framework --target=on',
    )
  })

  it('is the one that a setting names', async () => {
    const env = { GOOGLE_FUNCTION_TARGET: 'greet', GOOGLE_FUNCTION_SIGNATURE_TYPE: 'event' }
    expect(await startOf({ 'index.js': 'exports.greet = () => {}' }, env)).toEqual({
      command: 'functions-framework --target=greet --signature-type=event',
      why: 'GOOGLE_FUNCTION_TARGET',
    })
  })

  it('is for the user to choose among several', async () => {
    const file = "functions.http('a', f); functions.http('b', g)"
    await expect(startOf({ 'index.js': file })).rejects.toThrow('there are several functions: a, b')
  })

  it.each<[Tree, Record<string, string>]>([
    [{ Procfile: 'web: npx functions-framework --target=a\n' }, {}],
    [{ Procfile: 'other: npx functions-framework --target=b\n' }, {}],
    [{ 'app.yaml': 'runtime: nodejs22\nentrypoint: npx functions-framework --target=a\n' }, {}],
    [{}, { GOOGLE_ENTRYPOINT: 'npx functions-framework --target=a' }],
  ])('is one that the user has chosen among several: %j, %j', async (tree, env) => {
    const file = "functions.http('a', f); functions.http('b', g)"
    expect(await startOf({ 'index.js': file, ...tree }, env)).toBeUndefined()
  })

  it('is none without the framework, or where nothing is registered', async () => {
    expect(await startOf({ 'index.js': "app.http('a', f)" }, {}, {})).toBeUndefined()
    expect(await startOf({ 'index.js': 'exports.a = f' })).toBeUndefined()
  })
})
