import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../../errors.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { readTrusted } from '../../files/read.ts'
import { parseOrder } from '../../spec/order.ts'
import type { ProjectDescriptor } from '../../spec/project-descriptor.ts'
import type { Order } from '../../spec/types.ts'
import { type BuildpackModule, findModule, readModule } from './module.ts'
import { type GivenBuildpacks, type OpenScript, selectionOf } from './project-selection.ts'
import { type BuildpackChoice, type BuildpackSelection, withSelection } from './selection.ts'

// In a pod, the running image is the builder: a build can only choose among the buildpacks of that image.

const ofBuilder = /^(?:urn:cnb:builder|from=builder)(?::(.+))?$/
const idAndVersion = /^[A-Za-z0-9][A-Za-z0-9./_-]*(?:@[\w.+-]+)?$/
const isFile = /\.(cnb|tgz|tar\.gz|tar)$/

/**
 * The selection of a build among the buildpacks of its builder image: URIs are `from=builder` or ID[@VERSION].
 * @throws BaleError 'input' for a directory, a file, an image or a script
 */
export async function selectionInImage(
  given: GivenBuildpacks,
  project: ProjectDescriptor | undefined,
): Promise<BuildpackSelection> {
  const { group, pre, post } = await selectionOf(given, project, refuseScript)
  return { group: group.map(inImage), pre: pre.map(inImage), post: post.map(inImage) }
}

function inImage(choice: BuildpackChoice): BuildpackChoice {
  const match = ofBuilder.exec(choice.uri)
  const uri = match === null ? choice.uri : (match[1] ?? 'from=builder')
  if (uri !== 'from=builder' && (!idAndVersion.test(uri) || isFile.test(uri)))
    throw notInImage(JSON.stringify(choice.uri), choice.where)
  return { ...choice, uri }
}

const refuseScript: OpenScript = ({ where }) => Promise.reject(notInImage('a script', where))

const notInImage = (what: string, where: string) =>
  new BaleError(
    'input',
    `a build on a cluster uses only the buildpacks of its builder image, and ${what} is not one of them`,
    {
      where,
      fix: 'make a builder image with it (bale builder create), name that with --builder, and choose by ID or ID@VERSION',
    },
  )

/** The flags by which the first container of a pod gets a selection. */
export const selectionFlags = ({ group, pre, post }: BuildpackSelection): string[] => [
  ...group.flatMap(({ uri }) => ['--buildpack', uri]),
  ...pre.flatMap(({ uri }) => ['--pre-buildpack', uri]),
  ...post.flatMap(({ uri }) => ['--post-buildpack', uri]),
]

/** Where a builder image has its order.toml and its buildpacks. */
export interface ImageOrder {
  readonly order: string
  readonly buildpacks: string
}

/**
 * Returns the order of the builder image that this process runs in, changed by a selection.
 * @throws BaleError 'input' for a buildpack that the image does not have
 */
export async function orderInImage(
  selection: BuildpackSelection,
  image: ImageOrder,
  signal: AbortSignal,
): Promise<Order> {
  const content = await readTrusted(image.order)
  if (content === undefined)
    throw new BaleError('input', 'the file is missing: this is not a builder image', {
      where: image.order,
      fix: 'run it in a builder image, or set CNB_ORDER_PATH',
    })
  const builder = await modulesIn(image.buildpacks)
  const open = (uri: string, where: string): Promise<[BuildpackModule]> => {
    const [id = '', version = ''] = uri.split('@')
    return Promise.resolve([findModule(builder, id, version, where)])
  }
  const order = parseOrder(content, image.order)
  return (await withSelection({ buildpacks: builder, order }, selection, open, signal)).order
}

/** platform.md, "Buildpacks Directory Layout": `<buildpacks>/<escaped id>/<version>`. */
async function modulesIn(dir: string): Promise<BuildpackModule[]> {
  const names = (path: string) => wrapErrno(path, () => readdir(path))
  const ids = (await names(dir)).sort()
  const all = await Promise.all(
    ids.map(async id => {
      const versions = await names(join(dir, id))
      return Promise.all(versions.sort().map(version => readModule(join(dir, id, version), dir)))
    }),
  )
  return all.flat()
}
