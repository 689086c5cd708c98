import type { App } from '../sdk/index.ts'

/** A start command, and the reason for it. */
export interface Start {
  readonly command: string
  readonly why: string
}

/** The facts about the application that its start depends on. */
export interface Facts {
  readonly app: App
  /** Names of gems; empty without a Gemfile. */
  readonly gems: ReadonlySet<string>
  readonly hasGemfile: boolean
  readonly env: Readonly<Record<string, string>>
}
