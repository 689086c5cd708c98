import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { healthChecker } from './health-checker.ts'

void runBuildpack(healthChecker, invocationOf(process)).then(status => (process.exitCode = status))
