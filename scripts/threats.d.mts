export const register: string
export function namedCases(): Map<string, Set<string>>
export function rows(text: string): { code: string; cells: string[]; tests: string }[]
export function withTests(text: string): string
