-- The operator's commands list the organizations, as the owner, on whom row-level security is forced.
CREATE POLICY look_up ON organizations FOR SELECT TO opsc_owner USING (true);
