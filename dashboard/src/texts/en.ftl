# Texts of the web application. Names of problems are `problem-` and the code of the API.

## Everywhere

loading = Loading …
navigation = Main navigation
skip-to-content = Skip to the content
language = Language
version = Version { $version }
api-reference = API reference
sign-out = Sign out
copy = Copy
name = Name
created = Made
actions = Actions
never = never
problem = Something went wrong
request-id = Request { $id }
not-found = There is no such page
not-found-hint = Check the address, or go on from the navigation above.

## Signing in

sign-in = Sign in
email = Email
password = Password
organization-id = Organization id
organization-id-hint = Only needed where your email belongs to several organizations.
forgot-password = Forgot the password?
forgot-password-hint = You get a letter with a link by which you set another password.
send-link = Send the link
link-is-sent = If there is such a user, a letter with a link is on its way.
back-to-sign-in = Back to the sign-in
invitation = Welcome
invitation-hint = Choose a password. With your email it is how you sign in from now on.
new-password = A new password
new-password-hint = Choose another password. You are signed out everywhere else.
password-hint = 12 characters or more. Long and easy to remember is good.
set-password = Set the password
link-without-token = This link is not whole. Open it as it stands in the letter.
sign-in-wrong = The email or the password is wrong. If your email belongs to several organizations, give the organization id, too.

## Live map

map = Map
assets = Assets
find-asset = Find an asset by its name
by-state = By state
state-moving = Moving
state-standing = Standing
state-silent = Silent
state-unknown = No position
no-assets = There are no assets yet. Make one and put a tracker on it: its position shows here by itself.
none-found = No asset fits. Take a filter away.
no-webgl = This browser cannot draw the map (WebGL is missing). The list has everything that the map shows.
just-now = just now
seconds-ago = { $count } s ago
minutes-ago = { $count } min ago
hours-ago = { $count } h ago
days-ago = { $count ->
    [one] { $count } day ago
   *[other] { $count } days ago
}
live-lost = The connection was lost: what you see is not live. It is tried again by itself.
live-lost-restarting = The server restarts: what you see is not live. It goes on by itself.
live-lost-too-slow = Your connection was too slow for all that happens. It goes on by itself.
live-lost-too-many-connections = Your organization has as many live connections as its plan allows: close another page.
live-ended = The live connection has ended. Load the page again.
live-ended-forbidden = Your rights have changed. Load the page again to see what you may see now.
live-ended-plan-required = Your plan has no live positions.
connect-now = Try now

## Breaches

breaches = Breaches
no-breaches = Nothing has happened at your zones yet. What happens shows here by itself.
older = Older ones
on-the-map = On the map
accuracy = ± { $metres } m
breach-enter = entered
breach-exit = left
breach-dwell = has stayed long in
breach-overspeed = drives too fast in
mark-late = came late
mark-segment = between fixes
mark-timer = by time
mark-initial = was there already
mark-schedule = the zone's hours began

## Users

users = Users
users-hint = Whoever you invite gets a letter with a link, and chooses a password by it.
role = Role
role-of = Role of { $name }
role-viewer = Viewer
role-technician = Technician
role-dispatcher = Dispatcher
role-admin = Admin
state = State
user-active = Active
user-invited = Invited
user-service = For programs
user-deactivated = May not sign in
invite = Invite
invite-again = Send the letter again
invitation-is-sent = The letter is on its way.
activate = Let in again
deactivate = Switch off

## Webhooks

webhooks = Webhooks
webhooks-hint = Each event is posted to your addresses, signed, until it is accepted. A new one gets all types.
address = Address
event-type = Event
event-types = Events
make-endpoint = Add the address
secret-shown-once = This is the secret by which your program checks signatures. Copy it now: it is shown this once.
no-endpoints = No program of yours gets events yet. Add the address of one.
endpoint-active = Active
endpoint-failing = Active, but nothing is accepted just now
endpoint-disabled-user = Switched off
endpoint-disabled-failures = Switched off: nothing was accepted for days
endpoint-disabled-gone = Switched off: it answered 410 Gone
endpoint-disabled-backlog = Switched off: too much waited for it
send-test = Send a test event
test-event = test
deliveries = Deliveries
no-deliveries = Nothing was sent to this address yet. Send a test event.
delivery-pending = Waits
delivery-delivered = Accepted
delivery-failed = Given up
attempts = Attempts
attempted = When
answer = Answer
answer-text = What was answered
duration = Took
no-attempts = Nothing was attempted yet.
send-again = Send again

## API keys

api-keys = API keys
api-keys-hint = A key lets a program act as you. Give each program its own, and revoke those that nobody needs.
make-key = Make a key
key-shown-once = This is the key. Copy it now: it is shown this once.
no-keys = There are no keys yet. Give one a name that says what it is for, and make it.
key-end = Ends with
last-used = Last used
revoke = Revoke

## Problems

problem-unreachable = The server cannot be reached. Look at your network, and try again.
problem-unavailable = The server cannot answer just now. Try again in a minute.
problem-unexpected = The server gave an answer that this page does not know. Try again.
problem-internal-error = The server failed. This is a fault of ours: tell whoever runs it the number of the request.
problem-unauthorized = You are not signed in any more. Sign in again.
problem-forbidden = Your role does not allow this.
problem-not-found = There is no such thing, or it is not yours.
problem-plan-required = Your plan does not have this.
problem-quota-exceeded = Your plan has no room for more.
problem-rate-limited = Too many requests in this minute. Wait a little, and try again.
problem-too-many-requests = Too much at once. Try again in a moment.
problem-too-many-sign-ins = Too many attempts failed. Wait a few minutes, or ask for a new password.
problem-password-link-needed = Too many attempts failed. Ask for a link by mail, and set a password by it.
problem-invalid-body = Something that was given is not right:
problem-link-not-good = This link was used already, or has expired. Ask for another one.
problem-changed-meanwhile = Somebody else has changed this meanwhile. Load the page again.
