/** The formats of results: one for people, the others for programs. */
export const outputFormats = ['human', 'json', 'yaml', 'toml'] as const

export type OutputFormat = (typeof outputFormats)[number]
