import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { php } from './php.ts'

void runBuildpack(php, invocationOf(process)).then(status => (process.exitCode = status))
