import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { java } from './java.ts'

void runBuildpack(java, invocationOf(process)).then(status => (process.exitCode = status))
