import type { OrgRole } from '../../contract/orgs.ts'
import type { Admission } from '../platform/admission.ts'

/** A viewer on its way to the shell's object. */
export interface ViewerAdmission extends Admission {
  readonly role: OrgRole
}
