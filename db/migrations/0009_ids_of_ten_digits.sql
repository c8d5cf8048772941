-- Devices of H02 that do not say their IMEI say an id of ten digits: it is claimed as an IMEI is.
ALTER TABLE imei_claims DROP CONSTRAINT imei_claims_imei_check,
    ADD CONSTRAINT imei_claims_imei_check CHECK (imei ~ '^([0-9]{10}|[0-9]{15})$');
ALTER TABLE refused_imei_claims DROP CONSTRAINT refused_imei_claims_imei_check,
    ADD CONSTRAINT refused_imei_claims_imei_check CHECK (imei ~ '^([0-9]{10}|[0-9]{15})$');
