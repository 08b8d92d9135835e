import { Complaint } from './complaint.ts'

/** The major version of the `node` package in package.json. */
const MAJOR_MIN = 24

/** @throws Complaint */
export function mustBeNode(version: string): void {
  if (Number(version.split('.')[0]) >= MAJOR_MIN) return
  throw new Complaint(`Parvis needs Node ${MAJOR_MIN} and this is ${version}: run \`npm start\`, which brings its own.`)
}
