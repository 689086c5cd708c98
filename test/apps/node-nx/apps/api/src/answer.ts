export const answer = (): string => `built by Nx, answered by Node ${process.version}\n`
