import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DebianArchive } from '../debian/archive.ts'
import { debianComponents, libraryDir, unpackPackages } from '../debian/unpack.ts'
import { defineBuildpack, digestOf, fail, isSet, pass, withTempDir } from '../sdk/index.ts'
import { reloadScript } from './reload-script.ts'

/** Its inotifywait reports changes as they happen; Debian does not have watchexec. */
const watcher = 'inotify-tools'

export const liveReload = defineBuildpack({
  detect({ env }) {
    return isSet(env, 'BP_LIVE_RELOAD_ENABLED')
      ? pass('BP_LIVE_RELOAD_ENABLED enables live reload')
      : fail('BP_LIVE_RELOAD_ENABLED does not enable live reload')
  },

  async build(context) {
    const { app, log, run, target } = context
    log.heading('Live reload')
    return await withTempDir(async temp => {
      const archive = await DebianArchive.open(context, temp)
      const packages = await archive.resolve([watcher])
      const script = (dir: string): string =>
        reloadScript({
          inotifywait: join(dir, 'usr/bin/inotifywait'),
          libraries: libraryDir(dir, target.arch),
          layersDir: resolve(dir, '../..'),
          appDir: app.path,
        })
      const layer = await context.layer('watcher', {
        title: `the file watcher (${watcher})`,
        types: { launch: true },
        key: { 'Debian packages': digestOf(JSON.stringify(packages)), Script: digestOf(script('/layers/own/watcher')) },
        create: async dir => {
          await unpackPackages(run, await archive.download(packages), dir)
          const file = join(dir, 'bin', 'reload')
          await mkdir(join(dir, 'bin'), { recursive: true })
          await writeFile(file, script(dir))
          await chmod(file, 0o755)
        },
        sbom: () => {
          const { name = 'debian', version = '13' } = target.distro ?? {}
          return Promise.resolve(debianComponents(packages, `${name}-${version}`))
        },
      })
      log.info('The image starts with the process reload, which runs web: use it only for development')
      const command = [join(layer.path, 'bin', 'reload'), '/cnb/process/web'] as const
      return { launch: { processes: [{ type: 'reload', command, default: true }] } }
    })
  },
})
