export function bundlePhases(out: string): Promise<string[]>
