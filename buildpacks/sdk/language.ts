/** How a language is recognised. Patterns name files relative to the application's directory; `*` stands for a part of one name. */
export interface Language {
  readonly id: string
  /** The name for users. */
  readonly name: string
  /** Its name in the list of languages that Bale builds, if that name differs. */
  readonly listedAs?: string
  /** Further names in `BP_LANGUAGE` and `GOOGLE_RUNTIME`, beside the id. */
  readonly aliases?: readonly string[]
  /** The name that its buildpack provides in the build plan; absent if Bale has no buildpack for the language. */
  readonly provides?: string
  /** Files that declare a project. */
  readonly manifests: readonly string[]
  /** Files that declare a project only beside a source file: many applications have a Makefile for other purposes. */
  readonly helpers?: readonly string[]
  /** Files that start a server. With a manifest they make the language the likely server. If absent, the manifest does. */
  readonly starts?: readonly string[]
  /** Source files, which say little where another language has a manifest. */
  readonly sources?: readonly string[]
  /** Programs that start its applications, in a Procfile or another declared command. */
  readonly programs: readonly string[]
  /** Settings that apply only to its applications. */
  readonly settings?: readonly string[]
  /** Prefixes of buildpack ids that app.json may name: `heroku/python`. */
  readonly heroku?: string
  /** What to do if Bale has no buildpack for the language. */
  readonly instead?: string
  /** It generates pages, which are a static site once they are built. */
  readonly makesSite?: true
}
