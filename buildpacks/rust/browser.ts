import { type BuildContext, BuildpackError } from '../sdk/index.ts'
import { tableOf } from '../sdk/tables.ts'
import type { Crate } from './metadata.ts'
import { parseToml } from '../../lifecycle/spec/toml.ts'

/** Crates for pages in WebAssembly. */
const pages = ['yew', 'leptos', 'sycamore', 'seed']

/**
 * Refuses programs that only a browser runs. They also compile for this machine, but end as soon as they start. A separate tool
 * generates the files to serve.
 * @param crates the crates that the application is built from
 * @throws BuildpackError that names the tool
 */
export async function refuseBrowserPrograms({ app, env }: BuildContext, crates: readonly Crate[]): Promise<void> {
  // Features distinguish a server from the pages.
  if (env['BP_CARGO_INSTALL_ARGS'] || crates.filter(({ programs }) => programs.length > 0).length > 1) return
  const document = parseToml((await app.read('Cargo.toml')) ?? '', 'Cargo.toml')
  const metadata = [tableOf(document['package']), tableOf(document['workspace'])].map(table =>
    tableOf(table['metadata']),
  )
  if (metadata.some(table => table['leptos'] !== undefined))
    throw new BuildpackError('this application needs cargo-leptos, which Bale does not have', {
      where: 'Cargo.toml package.metadata.leptos',
      fix: 'set BP_CARGO_INSTALL_ARGS="--no-default-features --features ssr" for the server, and add the pages that "cargo leptos build --release" makes to the source, in the folder that LEPTOS_SITE_ROOT names',
    })
  const dioxus = await app.has('Dioxus.toml')
  const isPage = (await app.has('index.html')) && crates.some(({ name, isOwn }) => !isOwn && pages.includes(name))
  if (!dioxus && !isPage && !(await app.has('Trunk.toml'))) return
  const [tool, command, where] = dioxus
    ? ['Dioxus', 'dx bundle --platform web', 'Dioxus.toml']
    : ['Trunk', 'trunk build --release', isPage ? 'index.html' : 'Trunk.toml']
  throw new BuildpackError(`this application runs in browsers and needs ${tool}, which Bale does not have`, {
    where,
    fix: `run "${command}" and build the image from the folder that the tool makes: bale build NAME --path dist; a server's features are named with BP_CARGO_INSTALL_ARGS`,
  })
}
