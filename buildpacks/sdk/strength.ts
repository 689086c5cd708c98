/**
 * The strength of evidence, the weakest first: only source files; a manifest; a manifest and a server's start file; a declaration of
 * the user, such as a Procfile that starts a program of the language.
 */
export const strengths = ['sources', 'manifest', 'server', 'declared'] as const

export type Strength = (typeof strengths)[number]
