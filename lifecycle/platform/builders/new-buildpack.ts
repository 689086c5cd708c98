import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { BaleError, isErrno } from '../../errors.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import type { Platform } from '../../image/manifest.ts'
import { supportedBuildpackApis } from '../../spec/api.ts'
import { checkPublishableId, checkPublishableVersion } from '../../spec/ids.ts'
import { formatToml } from '../../spec/toml.ts'

export interface NewExtensionInput {
  readonly id: string
  readonly api: string
  readonly version: string
  /** The directory to create; by default in the working directory and named after the id. */
  readonly path?: string | undefined
}

/** A platform, and the distributions that the buildpack supports there: all without one. */
export interface NewTarget {
  readonly platform: Platform
  readonly distros: readonly { readonly name: string; readonly version?: string }[]
}

export interface NewBuildpackInput extends NewExtensionInput {
  readonly targets: readonly NewTarget[]
  readonly language: 'shell' | 'typescript'
  /** The script that starts Node for a buildpack of the SDK. */
  readonly nodeStarter: string
}

/** The files of a buildpack that builds the application in `test/hello`, by their paths; programs begin with `#!`. */
type Files = Readonly<Record<string, string>>

const shellFiles = (api: string): Files => ({
  'bin/detect': `#!/bin/sh
# Exits with 0 if the buildpack is for the application in the working directory, else with 100.
set -eu
[ -f hello.txt ] || exit 100
`,
  'bin/build': `#!/bin/sh
# Builds the application in the working directory. Layers go below the first argument, which is $CNB_LAYERS_DIR too.
set -eu
echo "---> Hello"
cat > "$1/launch.toml" <<'END'
[[processes]]
type = "web"
${hasCommandLists(api) ? 'command = ["cat", "hello.txt"]' : 'command = "cat"\nargs = ["hello.txt"]\ndirect = true'}
default = true
END
`,
})

const extensionFiles: Files = {
  'bin/detect': `#!/bin/sh
# Exits with 0 if the application in the working directory needs the extension, else with 100.
set -eu
[ -f apt.txt ] || exit 100
`,
  'bin/generate': `#!/bin/sh
# Writes Dockerfiles: build.Dockerfile for the image that buildpacks run in, run.Dockerfile for the one that the application runs on.
set -eu
# The lines become part of a command of root's.
if grep -qv '^[a-z0-9][a-z0-9.+-]*$' apt.txt; then
  echo 'apt.txt has a line that is not a name of a package' >&2
  exit 1
fi
packages=$(tr '\\n' ' ' < apt.txt)
for kind in build run; do
  cat > "$CNB_OUTPUT_DIR/$kind.Dockerfile" <<END
ARG base_image
FROM \\\${base_image}
ARG user_id
ARG group_id
USER root
RUN apt-get update && apt-get install --yes --no-install-recommends $packages && rm -rf /var/lib/apt/lists/*
LABEL io.buildpacks.rebasable=false
USER \\\${user_id}:\\\${group_id}
END
done
`,
}

/**
 * Makes a directory for a new image extension, which installs the Debian packages that an application lists.
 * @returns its path
 * @throws BaleError 'arguments' if it exists
 */
export async function newExtension({ id, api, version, path }: NewExtensionInput): Promise<string> {
  checkPublishableId(id, 'the id')
  checkPublishableVersion(version, '--version')
  checkApi(api)
  return makeDirectory(id, path, {
    ...extensionFiles,
    'extension.toml': formatToml({ api, extension: { id, version } }),
  })
}

/** Since Buildpack API 0.9, command is a list, and no process runs in a shell. */
const hasCommandLists = (api: string): boolean => Number(api.split('.')[1]) >= 9

const typescriptFiles = (nodeStarter: string): Files => ({
  'package.json': `${JSON.stringify(
    {
      private: true,
      type: 'module',
      scripts: {
        build:
          'esbuild main.ts --bundle --platform=node --target=node22 --format=cjs --log-override:direct-eval=silent --outfile=buildpack/main.cjs',
        test: 'npm run build && bale buildpack test buildpack --app test/hello',
      },
      devDependencies: { esbuild: '0.28.2' },
    },
    undefined,
    2,
  )}\n`,
  '.gitignore': 'node_modules/\nbuildpack/main.cjs\n',
  'main.ts': `import { defineBuildpack, fail, invocationOf, pass, runBuildpack } from 'bale/sdk'

const buildpack = defineBuildpack({
  async detect({ app }) {
    return (await app.has('hello.txt')) ? pass('hello.txt is there') : fail('no hello.txt')
  },

  async build({ log }) {
    log.heading('Hello')
    return { launch: { processes: [{ type: 'web', command: ['cat', 'hello.txt'], default: true }] } }
  },
})

void runBuildpack(buildpack, invocationOf(process)).then(status => (process.exitCode = status))
`,
  'buildpack/bin/detect': `#!/bin/sh
# Rules the buildpack out in 2 ms, where Node takes 50: for what is not for it, it does not start.
[ -f hello.txt ] || exit 100
exec "$CNB_BUILDPACK_DIR/bin/main" detect
`,
  'buildpack/bin/build': '#!/bin/sh\nexec "$CNB_BUILDPACK_DIR/bin/main" build\n',
  'buildpack/bin/main': nodeStarter,
})

const testedApp = (id: string): Files => ({
  'test/hello/hello.txt': 'hello\n',
  'test/hello/expect.json': `${JSON.stringify({ detect: [id], run: { exit: 0, output: 'hello' } }, undefined, 2)}\n`,
})

/**
 * Makes a directory for a new buildpack, which builds an application that comes with it.
 * @returns its path
 * @throws BaleError 'arguments' if it exists
 */
export async function newBuildpack(input: NewBuildpackInput): Promise<string> {
  const { id, api, version, path, targets, language, nodeStarter } = input
  checkPublishableId(id, 'the id')
  checkPublishableVersion(version, '--version')
  checkApi(api)
  if (language === 'typescript' && Number(api.split('.')[1]) < 10)
    throw new BaleError('arguments', `the SDK is for Buildpack API 0.10 and newer, not for ${api}`, {
      where: '--api',
      fix: 'leave it out, or write the buildpack in shell',
    })
  const document = {
    api,
    buildpack: { id, version },
    targets: targets.map(({ platform: { os, architecture, variant }, distros }) => ({
      os,
      arch: architecture,
      variant,
      ...(distros.length > 0 && { distros }),
    })),
  }
  const isShell = language === 'shell'
  return makeDirectory(id, path, {
    ...testedApp(id),
    ...(isShell ? shellFiles(api) : typescriptFiles(await readFile(nodeStarter, 'utf8'))),
    [isShell ? 'buildpack.toml' : 'buildpack/buildpack.toml']: formatToml(document),
  })
}

function checkApi(api: string): void {
  if (supportedBuildpackApis.includes(api)) return
  throw new BaleError('arguments', `${JSON.stringify(api)} is not a Buildpack API that Bale supports`, {
    where: '--api',
    fix: `write one of: ${supportedBuildpackApis.join(', ')}`,
  })
}

/** Makes a directory with the files, named after the id unless `path` names it. */
async function makeDirectory(id: string, path: string | undefined, files: Files): Promise<string> {
  const dir = resolve(path ?? (id.split('/').at(-1) as string))
  await mkdir(dir).catch((cause: unknown) => {
    if (isErrno(cause, 'EEXIST'))
      throw new BaleError('arguments', 'it exists already', { where: dir, fix: 'name another directory with --path' })
    throw new BaleError('filesystem', `the directory cannot be made: ${(cause as Error).message}`, {
      where: dir,
      cause,
    })
  })
  await wrapErrno(dir, async () => {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(dir, name)), { recursive: true })
      await writeFile(join(dir, name), content, { mode: content.startsWith('#!') ? 0o755 : 0o644 })
    }
  })
  return dir
}
