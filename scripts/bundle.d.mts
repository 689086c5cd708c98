export function bundlePhases(out: string, options?: { precompiled?: boolean }): Promise<string[]>
