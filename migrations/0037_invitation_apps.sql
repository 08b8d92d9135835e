-- 0037 invitation apps: where the mailed links of an invitation lead, each time it is mailed. Forward only; additive; safe while the previous Worker serves.
ALTER TABLE org_invitations ADD COLUMN app TEXT;
