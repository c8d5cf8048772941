-- The moves between the states of a thing, as arguments of a trigger:
--     CREATE TRIGGER moves BEFORE INSERT OR UPDATE OF state ON quotes FOR EACH ROW
--         EXECUTE FUNCTION check_state_move('a quote', 'draft', 'draft>sent sent>accepted');
-- They are those of the StateTable in `operations/`; tests compare them. The second argument has
-- the states in which a thing may begin.
CREATE FUNCTION check_state_move() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> ALL (string_to_array(TG_ARGV[1], ' ')) THEN
            RAISE check_violation USING CONSTRAINT = TG_TABLE_NAME || '_moves',
                MESSAGE = format('%s cannot begin as %s', TG_ARGV[0], NEW.state);
        END IF;
    ELSIF NEW.state <> OLD.state
        AND OLD.state || '>' || NEW.state <> ALL (string_to_array(TG_ARGV[2], ' '))
    THEN
        RAISE check_violation USING CONSTRAINT = TG_TABLE_NAME || '_moves',
            MESSAGE = format('%s cannot go from %s to %s', TG_ARGV[0], OLD.state, NEW.state);
    END IF;
    RETURN NEW;
END
$$;
REVOKE EXECUTE ON FUNCTION check_state_move FROM PUBLIC;
