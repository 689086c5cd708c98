import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bale, digestIn } from './helpers/bale.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { writeTree } from './helpers/tree.ts'

describe('bale build --workspace', () => {
  it('has the application there for buildpacks, in the image and where it runs', async () => {
    const dir = await temporaryDirectory()
    const image = 'bale-test-workspace'
    await writeTree(dir, {
      'app/Procfile': 'web: pwd; cat file; ls -A /workspace | wc -l\n',
      'app/file': 'of the app\n',
      'bp/buildpack.toml':
        'api = "0.11"\n[buildpack]\nid = "test/where"\nversion = "1.0.0"\n[[targets]]\nos = "linux"\n',
      'bp/bin/detect': { script: 'pwd > /dev/stderr; exit 0' },
      'bp/bin/build': { script: 'echo "built in $(pwd) as $CNB_APP_DIR"; echo made > made-by-buildpack' },
    })
    const env = { XDG_CACHE_HOME: join(dir, 'cache') }
    const build = (...flags: string[]) => bale(['build', image, '--path', join(dir, 'app'), ...flags], { env })
    const there = ['--workspace', '/srv/my-app', '--post-buildpack', join(dir, 'bp')]
    const first = await build(...there)
    expect(first.code, first.output).toBe(0)
    expect(first.output).toContain('built in /srv/my-app')
    expect((await bale(['run', image], { env })).stdout).toBe('/srv/my-app\nof the app\n0\n')
    const again = digestIn(await build(...there, '--quiet'))
    expect(first.output).toContain(`Digest: ${again}`)
    const back = await build()
    expect(back.output).toContain('The application was in /srv/my-app, so data of earlier builds is not used')
    expect((await bale(['run', image], { env })).stdout).toContain('/workspace\nof the app\n')
    for (const bad of ['/etc', '/', 'app', '/a/../etc', '/layers/app', '/bin/app']) {
      const { code, stderr } = await build('--workspace', bad)
      expect([bad, code === 0, stderr]).toEqual([bad, false, expect.stringContaining(`--workspace "${bad}"`)])
    }
  })
})
