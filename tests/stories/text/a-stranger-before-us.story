It never changes a rule that it did not create

# A rule that takes some of our requests, on the very priority that was planned for ours.
ana starts emr-next at 5 %
wait until emr-next is provisioning
somebody takes the priority of the main rule
5 min pass
then the phase is held
then no main rule stands
then users reach production 100 %
ana destroys emr-next
wait until emr-next is destroyed

----------------------------------------
     0.0 s  Ana started "emr-next": canary and baseline are to get 5 % each.
     0.0 s  The files are being uploaded.
     0.0 s  Arya created the temporary bucket.
     0.0 s  Arya created the app security group.
     0.0 s  Arya created the monitor security group.
     0.0 s  Arya created the baseline target group.
     0.0 s  Arya created the canary target group.
     2.0 s  Arya began to upload file aaaaaaaaaaaa.
     2.0 s  Arya began to upload file bbbbbbbbbbbb.
     2.0 s  Arya began to upload file cccccccccccc.
     2.0 s  Arya launched the baseline instance.
     2.0 s  Arya launched the canary instance.
     2.0 s  Arya launched the monitor instance.
    24.0 s  The baseline instance is booting (20.0 s after its start).
    24.0 s  The canary instance is booting (20.0 s after its start).
    24.0 s  The monitor instance is booting (20.0 s after its start).
    32.0 s  The files are up; the instances are being made ready.
    32.0 s  > somebody takes the priority of the main rule
    34.0 s  The watchdog took the canary share to 0 % (before: 5 %): The rule below ours, one of its groups, or an earlier rule changed since the plan was made; our copy would hide that change. A person decides: destroy, and plan anew.
    34.0 s  Users reach production only; the instances stand, and a person decides.
    44.0 s  The baseline instance has its container runtime ready (32.0 s after its start).
    44.0 s  The canary instance has its container runtime ready (32.0 s after its start).
    44.0 s  The monitor instance has its container runtime ready (32.0 s after its start).
    54.0 s  The baseline instance has fetched its files (44.0 s after its start).
    54.0 s  The canary instance has fetched its files (44.0 s after its start).
    54.0 s  The monitor instance has fetched its files (44.0 s after its start).
    64.0 s  The baseline instance has loaded its images (56.0 s after its start).
    64.0 s  The canary instance has loaded its images (56.0 s after its start).
    64.0 s  The monitor instance has loaded its images (56.0 s after its start).
    74.0 s  The baseline instance is up (68.0 s after its start).
    74.0 s  The canary instance is up (68.0 s after its start).
    74.0 s  The monitor instance is up (68.0 s after its start).
    84.0 s  The baseline instance is warmed up and ready (80.0 s after its start).
    84.0 s  The canary instance is warmed up and ready (80.0 s after its start).
    84.0 s  The monitor instance is warmed up and ready (80.0 s after its start).
    84.0 s  Arya registered the baseline instance in the baseline target group.
    84.0 s  Arya registered the canary instance in the canary target group.
    86.0 s  Arya created the probe rule at priority 49999.
   332.0 s  Ana asked for everything of ours to be removed.
   332.0 s  Everything of ours is being removed.
   332.0 s  Arya deleted the probe rule.
   394.0 s  Arya took the baseline instance out of the baseline target group.
   394.0 s  Arya took the canary instance out of the canary target group.
   394.0 s  Arya terminated the monitor instance.
   396.0 s  No new requests reach our instances; those they have are being finished.
   398.0 s  Arya deleted the baseline target group.
   398.0 s  Arya deleted the canary target group.
   398.0 s  Arya terminated the baseline instance.
   398.0 s  Arya terminated the canary instance.
   444.0 s  Arya deleted the app security group.
   444.0 s  Arya deleted the monitor security group.
   444.0 s  Arya emptied and deleted the temporary bucket.
   476.0 s  Everything of ours is gone. Others changed production meanwhile: 1 difference.
----------------------------------------
emr-next is destroyed. Planned again: no steps.
Its restore proof: A rule at priority 50000 was added by others.
Its users reach production 100 %.
The listener's rules: changed by others. Its groups: as before.
