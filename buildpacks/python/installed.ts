import type { Layer, Subcommand } from '../sdk/index.ts'

/** The normalised names of the installed packages: `flask-login`. */
export type Installed = ReadonlySet<string>

/** The layer of a virtual environment, and the facts about it that are known even without the layer's files. */
export interface Venv {
  readonly layer: Layer
  readonly installed: Installed
  /** Debian packages that modules are linked with. */
  readonly linked: readonly string[]
  /** Folders in which Playwright looks for its Chromium: `chromium-1255`. */
  readonly browsers: readonly string[]
}

/** A start command, and the reason for it. */
export interface Start {
  readonly command: string
  readonly why: string
  /** What the program does if the command line names no command of its own. */
  readonly subcommand?: Subcommand
}
